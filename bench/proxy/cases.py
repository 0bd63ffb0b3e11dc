"""The cases: what is asked, of how many servers, over how many connections.

A case is a record and nothing else. A new one that needs a new kind of load adds a field here, with a
default that leaves the older cases as they were, and the one place that reads it: the answer in `origin.py`,
the request in `load.py` and `load.lua`, the listener in each file of `peers/`.
"""

from dataclasses import dataclass, field
from enum import Enum


class Listener(str, Enum):
    """What the proxy speaks to its clients. To the servers it is always plain HTTP/1.1."""

    HTTP1 = "http1"
    # HTTP/2 without TLS, by prior knowledge.
    H2C = "h2c"
    # HTTP/1.1 over TLS 1.3, one handshake for each client connection.
    TLS = "tls"


@dataclass(frozen=True)
class Case:
    name: str
    about: str
    # Servers behind the proxy, one port each.
    servers: int = 3
    # Client connections.
    connections: int = 64
    # Requests under way at a time on each of them.
    streams: int = 1
    # Whether a connection is kept for the whole slice; else each request opens its own.
    is_kept: bool = True
    # Distinct request paths. The path is the key, so this is also the number of keys.
    paths: int = 1000
    # Bytes of an answer's body.
    answer: int = 20
    # Bytes of a request's body; with one, it is a POST.
    body: int = 0
    listener: Listener = Listener.HTTP1
    # CPU per request over that of a peer, which Ringway sets out to stay under.
    reach: dict[str, float] = field(default_factory=dict)


CASES = {
    case.name: case
    for case in [
        Case(
            name="get",
            about="keep-alive GET, 20-byte answer, 3 servers",
            reach={"haproxy": 0.95, "nginx": 0.95},
        ),
        Case(
            name="get100",
            about="keep-alive GET, 20-byte answer, 100 servers",
            servers=100,
            reach={"haproxy": 0.95, "nginx": 0.90},
        ),
        Case(
            name="get10k",
            about="keep-alive GET, 10 KiB answer, 3 servers",
            answer=10 << 10,
            reach={"haproxy": 1.0, "nginx": 1.0},
        ),
        Case(
            name="get1m",
            about="keep-alive GET, 1 MiB answer, 3 servers",
            answer=1 << 20,
            connections=16,
            reach={"haproxy": 0.65, "nginx": 0.50},
        ),
        Case(
            name="post1k",
            about="keep-alive POST of 1 KiB, 20-byte answer, 3 servers",
            body=1 << 10,
            reach={"haproxy": 0.95, "nginx": 0.95},
        ),
        Case(
            name="newconn",
            about="GET on a connection of its own, 20-byte answer, 3 servers",
            is_kept=False,
            reach={"haproxy": 1.10, "nginx": 1.20},
        ),
        Case(
            name="h2",
            about="HTTP/2 GET by prior knowledge, 20-byte answer, 3 servers",
            connections=16,
            streams=4,
            listener=Listener.H2C,
            reach={"haproxy": 0.85, "nginx": 0.55},
        ),
        Case(
            name="tls",
            about="keep-alive GET over TLS 1.3 (ECDSA P-256), 20-byte answer, 3 servers",
            listener=Listener.TLS,
            reach={"haproxy": 0.85, "nginx": 0.85},
        ),
    ]
}


def path(number: int) -> str:
    """The path of one key. `load.lua` makes the same ones."""
    return f"/item/{number:04d}"
