"""Ringway itself: probes, API and all else on, as it comes."""

import json

from cases import Listener
from peers import ROOT, Setup, find_program
from process import free_ports

HOW_TO_GET = "cargo build --release, or --ringway PATH"


def default_binary() -> str | None:
    built = ROOT / "target" / "release" / "ringway"
    return str(built) if built.exists() else find_program("ringway")


def command(binary: str, setup: Setup) -> list[str]:
    [api_port] = free_ports(1)
    listen: dict = {"host": "127.0.0.1", "port": setup.port}
    if setup.listener is Listener.TLS:
        listen["tls"] = {"certificates": [{"cert_file": setup.certificate.chain, "key_file": setup.certificate.key}]}
    config = setup.folder / "config.json"
    config.write_text(
        json.dumps(
            {
                "servers": [
                    {"name": f"s{number}", "address": "127.0.0.1", "port": port}
                    for number, port in enumerate(setup.server_ports, 1)
                ],
                "listen": listen,
                "process": {"workers": setup.workers},
                "routing": {"hash_key": ["path"]},
                "api": {"host": "127.0.0.1", "port": api_port},
            },
            indent=2,
        )
    )
    return [binary, "serve", "--config", str(config)]
