"""The cases: what is asked, of how many servers, over how many connections.

A case is a record and nothing else. A new one that needs a new kind of load adds a field here, with a
default that leaves the older cases as they were, and the one place that reads it:
the answer in `origin.py`, the request in `load.py` and `load.lua`, the listener in `proxies.py`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    name: str
    about: str
    # Servers behind the proxy, one port each.
    servers: int = 3
    # Client connections, all kept alive for the whole slice.
    connections: int = 64
    # Distinct request paths. The path is the key, so this is also the number of keys.
    paths: int = 1000


CASES = {
    case.name: case
    for case in [
        Case(name="get", about="keep-alive GET, 20-byte answer, 3 servers"),
    ]
}


def path(number: int) -> str:
    """The path of one key. `load.lua` makes the same ones."""
    return f"/item/{number:04d}"
