"""HAProxy, from Debian."""

from cases import Listener
from peers import Setup

HOW_TO_GET = "apt-get install haproxy"
VERSION = ["-v"]


def command(binary: str, setup: Setup) -> list[str]:
    servers = "\n".join(
        f"    server s{number} 127.0.0.1:{port}" for number, port in enumerate(setup.server_ports, 1)
    )
    kind = ""
    if setup.listener is Listener.H2C:
        kind = " proto h2"
    elif setup.listener is Listener.TLS:
        kind = f" ssl crt {setup.certificate.chain_and_key} ssl-min-ver TLSv1.3"
    config = setup.folder / "haproxy.cfg"
    config.write_text(
        f"""global
    nbthread {setup.workers}
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
    bind 127.0.0.1:{setup.port}{kind} backlog 1024
    balance uri
    hash-type consistent
{servers}
"""
    )
    # -db: one process in the foreground.
    return [binary, "-db", "-f", str(config)]
