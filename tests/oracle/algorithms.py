"""A second implementation of docs/algorithms.md, for checking the first.

It shares no code with Ringway, is written from the document alone, and does everything the slow and
obvious way. Draws, slots and shares are whole numbers. Logarithms are decimals of forty digits: far
finer than the fixed point which the document allows, so a wrong order there would show here.

    python3 tests/oracle/algorithms.py [tests/data/golden/algorithms.json]
"""

import bisect
import decimal
import json
import pathlib
import sys

import ring
from ring import WHOLE, xxh3

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
NEXT = 8
# How many units of 2^-64 a recorded share may be off by rounding.
ROUNDED = 1000
EXACT = decimal.Context(prec=40)


def draw(position, seed):
    x = position ^ seed
    x ^= x >> 27
    x = x * 0x3C79AC492BA7B653 % WHOLE
    x ^= x >> 33
    x = x * 0x1C69B3F74AC4AE35 % WHOLE
    return x ^ x >> 27


def by_draws(servers, position):
    """The names of all servers, best first."""
    draws = [(draw(position, xxh3(name)), name, weight) for name, weight, _ in servers]
    if len({weight for _, _, weight in draws}) <= 1:
        return [name for _, name, _ in sorted(draws, key=lambda d: (-d[0], d[1]))]

    def cost(x, weight):
        u = EXACT.divide(2 * (x >> 16) + 1, 1 << 49)
        return EXACT.divide(-EXACT.ln(u), weight)

    return [name for _, _, name in sorted((cost(x, weight), -x, name) for x, name, weight in draws)]


class Rendezvous:
    def __init__(self, servers, config):
        self.servers = servers

    def candidates(self, position):
        return by_draws(self.servers, position)


class Ring:
    def __init__(self, servers, config):
        n = config.get("routing", {}).get("virtual_nodes", 100)
        self.points = ring.ring([(name, weight) for name, weight, _ in servers], n)

    def clockwise(self, position):
        at = bisect.bisect_left(self.points, (position, b""))
        return self.points[at:] + self.points[:at]


class LocalRendezvous(Ring):
    def candidates(self, position):
        points = self.clockwise(position)
        # Sorting keeps equal draws in the order in which they are met.
        near = sorted(points[:NEXT], key=lambda p: draw(position, p[0]), reverse=True)
        return list(dict.fromkeys(name for _, name in near + points))


class Maglev:
    def __init__(self, servers, config):
        self.servers = servers
        self.size = config.get("routing", {}).get("table_size", 65537)
        self.slots = self.filled()

    def filled(self):
        size, slots = self.size, [None] * self.size
        greatest = max((weight for _, weight, _ in self.servers), default=0)
        fillers = []
        for name, weight, _ in sorted(self.servers):
            points = [xxh3(name + b"\0" + i.to_bytes(4, "little")) for i in range(2)]
            offset, skip = points[0] % size, points[1] % (size - 1) + 1
            fillers.append({"name": name, "weight": weight, "saved": 0, "at": offset, "skip": skip})
        n_free, turn = size if fillers else 0, 0
        while n_free:
            turn += 1
            for filler in fillers:
                if turn * filler["weight"] < filler["saved"] or not n_free:
                    continue
                filler["saved"] += greatest
                while slots[filler["at"]] is not None:
                    filler["at"] = (filler["at"] + filler["skip"]) % size
                slots[filler["at"]] = filler["name"]
                n_free -= 1
        return slots

    def candidates(self, position):
        owner = self.slots[position % self.size]
        return [owner] + [name for name in by_draws(self.servers, position) if name != owner] if self.servers else []


class Jump:
    def __init__(self, servers, config):
        self.servers = servers
        self.shards = [name for _, name in sorted((number, name) for name, _, number in servers)]

    def candidates(self, position):
        if not self.shards:
            return []
        owner = self.shards[jump(position, len(self.shards))]
        return [owner] + [name for name in by_draws(self.servers, position) if name != owner]


def jump(key, n_buckets):
    """Figure 1 of Lamping and Veach 2014, with its doubles."""
    b, j = -1, 0
    while j < n_buckets:
        b = j
        key = (key * 2862933555777941757 + 1) % WHOLE
        j = int((b + 1) * (float(1 << 31) / float((key >> 33) + 1)))
    return b


RULES = {"local-rendezvous": LocalRendezvous, "maglev": Maglev, "rendezvous": Rendezvous, "jump": Jump}


def numbered(servers):
    """Name, weight and number of each, by whether it is a backup. Who has no id gets the lowest that is free."""
    taken = {s["id"] for s in servers if "id" in s}
    tiers = {False: [], True: []}
    for s in servers:
        number = s.get("id") or next(n for n in range(1, len(servers) + 1) if n not in taken)
        taken.add(number)
        tiers[s.get("backup", False)].append((s["name"].encode(), s.get("weight", 1), number))
    return tiers


def fingerprint(rule, config, tiers):
    data = b"ringway-" + rule.encode() + b"-1\0"
    routing = config["routing"]
    if rule == "maglev":
        data += routing.get("table_size", 65537).to_bytes(4, "little")
    data += routing.get("virtual_nodes", 100).to_bytes(4, "little")
    members = [(*server, backup) for backup, tier in tiers.items() for server in tier]
    for name, weight, number, backup in sorted(members):
        data += name + b"\0" + weight.to_bytes(4, "little") + bytes([backup])
        if rule == "jump":
            data += number.to_bytes(4, "little")
    return xxh3(data)


def shares(layout, servers):
    """What part of all keys each server owns, or is expected to: numerator and denominator."""
    if isinstance(layout, LocalRendezvous):
        # Each of eight points, or of all if there are fewer, has an equal part of the arc before them.
        points, owned = layout.points, {name: 0 for name, _, _ in servers}
        window = min(NEXT, len(points))
        for i, (position, _) in enumerate(points):
            arc = (position - points[i - 1][0]) % WHOLE or (WHOLE if len(points) == 1 else 0)
            for j in range(window):
                owned[points[(i + j) % len(points)][1]] += arc
        return {name: (part, window * WHOLE) for name, part in owned.items()}
    if isinstance(layout, Maglev):
        return {name: (layout.slots.count(name), layout.size) for name, _, _ in servers}
    if isinstance(layout, Jump):
        return {name: (1, len(servers)) for name, _, _ in servers}
    total = sum(weight for _, weight, _ in servers)
    return {name: (weight, total) for name, weight, _ in servers}


def moved(before, after):
    """What part of all keys changes hands, by giver and taker, and how exactly that is known here."""
    if isinstance(before, Maglev) and isinstance(after, Maglev) and before.size == after.size:
        pairs, n = zip(before.slots, after.slots), before.size
        off = 1e-12
    else:
        n = 1000
        positions = [xxh3(b"moved" + i.to_bytes(4, "little")) for i in range(n)]
        pairs = [(next(iter(before.candidates(p)), None), next(iter(after.candidates(p)), None)) for p in positions]
        # At least five standard errors of such a sample.
        off = 0.08
    flows = {}
    for old, new in pairs:
        if old != new:
            flows[old, new] = flows.get((old, new), 0) + 1 / n
    return sum(flows.values()), {pair: part for pair, part in flows.items() if None not in pair}, off


def main(path):
    golden = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    n_checks, layouts = 0, []

    def check(what, found, expected):
        nonlocal n_checks
        n_checks += 1
        if found != expected:
            sys.exit(f"{what}: found {found}, expected {expected}")

    check("format", golden["format"], "ringway-algorithms-1")
    keys = [bytes.fromhex(k["key_hex"]) if "key_hex" in k else k["key"].encode() for k in golden["keys"]]
    for key, recorded in zip(keys, golden["keys"]):
        check(key, f"{xxh3(key):016x}", recorded["position"])
    for fleet in golden["fleets"]:
        config, about = fleet["config"], fleet["about"]
        rule, servers = config["routing"]["algorithm"], config["servers"]
        tiers = numbered(servers)
        primary, backup = (RULES[rule](tiers[tier], config) for tier in (False, True))
        layouts.append(primary)
        check(f"{about}: fingerprint", f"{fingerprint(rule, config, tiers):016x}", fleet["fingerprint"])
        # Recorded shares are whole units that add up, and were rounded for it part by part.
        recorded = {s["server"].encode(): int(s["units"], 16) for s in fleet["shares"]}
        check(f"{about}: sum of shares", sum(recorded.values()), WHOLE if recorded else 0)
        for name, (part, whole) in shares(primary, tiers[False]).items():
            check(f"{about}: share of {name}", abs(recorded.pop(name) * whole - part * WHOLE) <= ROUNDED * whole, True)
        check(f"{about}: others with shares", recorded, {})
        place = {s["name"].encode(): digit for s, digit in zip(servers, DIGITS)}
        check(f"{about}: keys", len(fleet["candidates"]), len(keys))
        for key, expected in zip(keys, fleet["candidates"]):
            order = primary.candidates(xxh3(key)) + backup.candidates(xxh3(key))
            check(f"{about}: {key!r}", "".join(place[name] for name in order[:NEXT]), expected)
    for change in golden["changes"]:
        total, flows, off = moved(layouts[change["before"]], layouts[change["after"]])
        about = f"{change['before']} to {change['after']}"
        recorded = {(f["from"].encode(), f["to"].encode()): int(f["units"], 16) / WHOLE for f in change["flows"]}
        check(f"{about}: total", abs(int(change["total"], 16) / WHOLE - total) <= off, True)
        for pair in flows | recorded:
            check(f"{about}: {pair}", abs(recorded.get(pair, 0) - flows.get(pair, 0)) <= off, True)
    print(f"{n_checks} golden answers of other rules are those of the independent implementation")


if __name__ == "__main__":
    default = pathlib.Path(__file__).parent.parent / "data/golden/algorithms.json"
    main(sys.argv[1] if len(sys.argv) > 1 else default)
