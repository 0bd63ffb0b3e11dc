"""The proxies compared: one file for each, and here what they have in common.

Equal terms for all: one worker, consistent hashing of the path, connections to the servers kept,
X-Forwarded-For added, no access log, the client's Host passed on. All else is as each comes.
"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from cases import Listener
from certificate import Certificate

# Connections to the servers which nginx keeps while they idle, over all servers. The others keep enough by
# themselves; with as few as client connections nginx opens new ones all the time.
NGINX_KEEPALIVE = 256

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Setup:
    """What a proxy's configuration is made from."""

    port: int
    listener: Listener
    server_ports: list[int]
    folder: Path
    certificate: Certificate | None = None
    nginx_keepalive: int = NGINX_KEEPALIVE
    workers: int = 1
    # For callgrind, which counts one process.
    is_one_process: bool = False


@dataclass(frozen=True)
class Peer:
    """One of the proxies, found on this machine."""

    name: str
    binary: str
    version: str
    # Writes the configuration and returns the command.
    command: Callable[[str, Setup], list[str]]


def find_program(name: str) -> str | None:
    """Also looks where Debian keeps daemons, which is not on every user's PATH, and in this bench's own folder."""
    own = ROOT / "build" / "bench" / "bin"
    return shutil.which(name, path=os.pathsep.join([str(own), os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))


def version(command: list[str]) -> str:
    try:
        ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    number = re.search(r"\d+\.\d+\.\d+\S*", ran.stdout + ran.stderr)
    return number[0].rstrip("/") if number else "unknown"
