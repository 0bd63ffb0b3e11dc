"""The proxies compared: where each is found, how it is configured, how it is started.

Equal terms for all: one worker, consistent hashing of the path, connections to the servers kept,
X-Forwarded-For added, no access log, the client's Host passed on. All else is as each comes.
"""

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from origin import NO_REQUEST_LIMIT, nginx_http, nginx_main
from process import free_ports

# Connections to the servers which nginx keeps while they idle, over all servers. HAProxy has no such limit.
NGINX_KEEPALIVE = 64

_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Setup:
    """What a proxy's configuration is made from."""

    port: int
    server_ports: list[int]
    folder: Path
    nginx_keepalive: int = NGINX_KEEPALIVE
    # For callgrind, which counts one process.
    one_process: bool = False


@dataclass(frozen=True)
class Proxy:
    name: str
    binary: str
    version: str
    # Writes the configuration and returns the command.
    command: Callable[[str, Setup], list[str]]


def find_program(name: str) -> str | None:
    """Also looks where Debian keeps daemons, which is not on every user's PATH."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))


def find_proxies(ringway: list[str]) -> tuple[list[Proxy], list[str]]:
    """The proxies there are, and a line for each one missing.

    `ringway` holds `PATH` or `NAME=PATH`, to set several builds beside each other.
    """
    found, missing = [], []
    for given in ringway or [_default_ringway()]:
        if given is None:
            missing.append("ringway is missing: cargo build --release, or --ringway PATH")
            continue
        name, _, path = given.rpartition("=")
        binary = shutil.which(path)
        if binary:
            # Proxies start in a folder of their own, so a relative path would no longer lead here.
            binary = os.path.abspath(binary)
            found.append(Proxy(name or "ringway", binary, _version([binary, "--version"]), _ringway))
        else:
            missing.append(f"{name or 'ringway'} is missing: no program {path}")
    for name, command in [("nginx", _nginx), ("haproxy", _haproxy)]:
        binary = find_program(name)
        if binary:
            found.append(Proxy(name, binary, _version([binary, "-v"]), command))
        else:
            missing.append(f"{name} is missing: apt-get install {name}")
    return found, missing


def _default_ringway() -> str | None:
    built = _ROOT / "target" / "release" / "ringway"
    return str(built) if built.exists() else shutil.which("ringway")


def _version(command: list[str]) -> str:
    try:
        ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    number = re.search(r"\d+\.\d+\.\d+\S*", ran.stdout + ran.stderr)
    return number[0] if number else "unknown"


def _ringway(binary: str, setup: Setup) -> list[str]:
    config = setup.folder / "config.json"
    [api_port] = free_ports(1)
    config.write_text(
        json.dumps(
            {
                "servers": [
                    {"name": f"s{number}", "address": "127.0.0.1", "port": port}
                    for number, port in enumerate(setup.server_ports, 1)
                ],
                "listen": {"host": "127.0.0.1", "port": setup.port},
                "process": {"workers": 1},
                "routing": {"hash_key": ["path"]},
                "api": {"host": "127.0.0.1", "port": api_port},
            },
            indent=2,
        )
    )
    return [binary, "serve", "--config", str(config)]


def _nginx(binary: str, setup: Setup) -> list[str]:
    servers = "\n".join(f"        server 127.0.0.1:{port};" for port in setup.server_ports)
    config = setup.folder / "nginx.conf"
    config.write_text(
        f"""{nginx_main(setup.one_process)}
http {{
{nginx_http()}
    upstream servers {{
        hash $uri consistent;
{servers}
        keepalive {setup.nginx_keepalive};
        keepalive_requests {NO_REQUEST_LIMIT};
    }}
    server {{
        listen 127.0.0.1:{setup.port} backlog=1024;
        location / {{
            proxy_pass http://servers;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }}
    }}
}}
"""
    )
    return [binary, "-p", str(setup.folder), "-c", str(config), "-e", "stderr"]


def _haproxy(binary: str, setup: Setup) -> list[str]:
    servers = "\n".join(
        f"    server s{number} 127.0.0.1:{port}" for number, port in enumerate(setup.server_ports, 1)
    )
    config = setup.folder / "haproxy.cfg"
    config.write_text(
        f"""global
    nbthread 1
    maxconn 4096
defaults
    mode http
    timeout connect 5s
    timeout client 1m
    timeout server 1m
    option forwardfor
    option splice-auto
    http-reuse always
listen proxy
    bind 127.0.0.1:{setup.port} backlog 1024
    balance uri
    hash-type consistent
{servers}
"""
    )
    # -db: one process in the foreground.
    return [binary, "-db", "-f", str(config)]
