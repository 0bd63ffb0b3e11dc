"""Pingora: a library, so the proxy is a small one made with it, in `pingora/`."""

from cases import Listener
from peers import ROOT, Setup

HOW_TO_GET = "apt-get install cmake; cargo install --locked --path bench/proxy/pingora --root build/bench"
VERSION = ["--version"]


def command(binary: str, setup: Setup) -> list[str]:
    own = [binary, "--workers", str(setup.workers), "--listen", f"127.0.0.1:{setup.port}"]
    if setup.listener is Listener.H2C:
        own += ["--h2c"]
    elif setup.listener is Listener.TLS:
        own += ["--tls", setup.certificate.chain, setup.certificate.key]
    return own + [f"127.0.0.1:{port}" for port in setup.server_ports]
