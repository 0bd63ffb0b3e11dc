"""A second implementation of docs/ring-format.md, for checking the first.

It shares no code with Ringway, is written from the document alone, and does everything the slow
and obvious way. Its one dependency is a binding to the reference implementation of XXH3.

    python3 tests/oracle/ring.py [tests/data/golden/routes.json]
"""

import json
import pathlib
import sys

from xxhash import xxh3_64_intdigest as xxh3

WHOLE = 1 << 64


def ring(servers, n):
    """All points, sorted by position and then by name."""
    return sorted(
        (xxh3(name + b"\0" + i.to_bytes(4, "little")), name)
        for name, weight in servers
        for i in range(weight * n)
    )


def candidates(points, position):
    """The distinct servers clockwise from the position, in order."""
    clockwise = [p for p in points if p[0] >= position] + [p for p in points if p[0] < position]
    return list(dict.fromkeys(name for _, name in clockwise))


def arcs(points, boundaries):
    """The owner of each stretch between two neighbouring boundaries, and its length."""
    last, at = max(boundaries, default=0), 0
    for end in boundaries:
        while at < len(points) and points[at][0] < end:
            at += 1
        yield points[at % len(points)][1], (end - last) % WHOLE or WHOLE
        last = end


def shares(points):
    owned = {name: 0 for _, name in points}
    for name, length in arcs(points, sorted({position for position, _ in points})):
        owned[name] += length
    return owned


def moved(before, after):
    """How much of the ring changed hands, in all and by giver and taker."""
    if not before or not after:
        return (WHOLE if before or after else 0), {}
    flows = {}
    boundaries = sorted({position for position, _ in before + after})
    for (old, length), (new, _) in zip(arcs(before, boundaries), arcs(after, boundaries)):
        if old != new:
            flows[old, new] = flows.get((old, new), 0) + length
    return sum(flows.values()), flows


def fingerprint(servers, n):
    data = b"ringway-ring-1\0" + n.to_bytes(4, "little")
    for name, weight, backup in sorted(servers):
        data += name + b"\0" + weight.to_bytes(4, "little") + bytes([backup])
    return xxh3(data)


def main(path):
    golden = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    n_checks, rings = 0, []

    def check(what, found, expected):
        nonlocal n_checks
        n_checks += 1
        if found != expected:
            sys.exit(f"{what}: found {found}, expected {expected}")

    check("format", golden["format"], "ringway-ring-1")
    for fleet in golden["fleets"]:
        n = fleet["config"].get("routing", {}).get("virtual_nodes", 100)
        servers = [
            (s["name"].encode(), s.get("weight", 1), s.get("backup", False))
            for s in fleet["config"]["servers"]
        ]
        primary = ring([(name, w) for name, w, backup in servers if not backup], n)
        spare = ring([(name, w) for name, w, backup in servers if backup], n)
        rings.append(primary)
        about = fleet["about"]
        check(f"{about}: fingerprint", f"{fingerprint(servers, n):016x}", fleet["fingerprint"])
        check(f"{about}: points", len(primary), fleet["n_points"])
        for p in fleet["points"]:
            position, name = primary[p["index"]]
            check(f"{about}: point {p}", (f"{position:016x}", name.decode()), (p["position"], p["server"]))
        found = {name.decode(): f"{units:017x}" for name, units in shares(primary).items()}
        check(f"{about}: shares", found, {s["server"]: s["units"] for s in fleet["shares"]})
        for route in fleet["routes"]:
            key = bytes.fromhex(route["key_hex"]) if "key_hex" in route else route["key"].encode()
            order = [c.decode() for c in candidates(primary, xxh3(key)) + candidates(spare, xxh3(key))]
            check(f"{about}: {key!r}", f"{xxh3(key):016x}", route["position"])
            check(f"{about}: {key!r}", next(iter(order), None), route["owner"])
            check(f"{about}: {key!r}", order[:8], route["candidates"])
    for change in golden["changes"]:
        total, flows = moved(rings[change["before"]], rings[change["after"]])
        check(f"{change['before']} to {change['after']}", f"{total:017x}", change["total"])
        found = sorted([a.decode(), b.decode(), f"{units:017x}"] for (a, b), units in flows.items())
        check("flows", found, sorted([f["from"], f["to"], f["units"]] for f in change["flows"]))
    print(f"{n_checks} golden answers are those of the independent implementation")


if __name__ == "__main__":
    default = pathlib.Path(__file__).parent.parent / "data/golden/routes.json"
    main(sys.argv[1] if len(sys.argv) > 1 else default)
