"""Which of the proxies are on this machine."""

import os
import shutil

from peers import Peer, caddy, envoy, find_program, haproxy, nginx, pingora, ringway, version

# By the name of the program.
_OTHERS = {"nginx": nginx, "haproxy": haproxy, "envoy": envoy, "caddy": caddy, "pingora-ketama": pingora}


def find(ringways: list[str]) -> tuple[list[Peer], list[str]]:
    """The proxies there are, and a line for each one missing.

    `ringways` holds `PATH` or `NAME=PATH`, to set several builds beside each other.
    """
    found, missing = [], []
    for given in ringways or [ringway.default_binary()]:
        if given is None:
            missing.append(f"ringway is missing: {ringway.HOW_TO_GET}")
            continue
        name, _, path = given.rpartition("=")
        name, binary = name or "ringway", shutil.which(path)
        if binary:
            # Proxies start in a folder of their own, so a relative path would no longer lead here.
            binary = os.path.abspath(binary)
            found.append(Peer(name, binary, version([binary, "--version"]), ringway.command))
        else:
            missing.append(f"{name} is missing: no program {path}")
    for program, peer in _OTHERS.items():
        binary = find_program(program)
        name = peer.__name__.rpartition(".")[2]
        if binary:
            found.append(Peer(name, binary, version([binary, *peer.VERSION]), peer.command))
        else:
            missing.append(f"{name} is missing: {peer.HOW_TO_GET}")
    return found, missing
