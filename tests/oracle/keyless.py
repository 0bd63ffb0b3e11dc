"""A second implementation of the rules without keys, for checking the first.

It shares no code with Ringway and is written from the section «Rules without keys» of
docs/algorithms.md. Runs in which servers fail are left to the two engines: who is out, and when, is not
said there.

    python3 tests/oracle/keyless.py [tests/data/golden/keyless.json]
"""

import json
import math
import pathlib
import sys

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
MASK = 2**64 - 1


def draws(seed):
    n = 0
    while True:
        n += 1
        x = seed + n * 0x9E3779B97F4A7C15 & MASK
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & MASK
        x = (x ^ x >> 27) * 0x94D049BB133111EB & MASK
        yield x ^ x >> 31


ROOTS = [2**61]
for _ in range(32):
    ROOTS.append(math.isqrt(ROOTS[-1] << 62))


def weight_of_the_past(nanos):
    h = nanos * 2661302619 >> 32
    if h >> 32 >= 62:
        return 0
    w = 2**62
    for k in range(1, 33):
        if h >> 32 - k & 1:
            w = w * ROOTS[k] >> 62
    return w >> (h >> 32)


class Server:
    def __init__(self, spec, place):
        self.name, self.place, self.weight = spec["name"], place, spec.get("weight", 1)
        self.in_flight = self.saved = self.mean = self.at = 0

    def mean_at(self, now):
        return self.mean * weight_of_the_past(now - self.at) >> 62

    def answered(self, nanos, failed, now):
        s = min(nanos, 2**47) << 16
        if failed:
            s = max(s, self.mean)
        w = weight_of_the_past(now - self.at)
        self.mean, self.at = max(s, self.mean * w + s * (2**62 - w) >> 62), now


def drawn(draw, row):
    """The server that the draw falls on, of these in a row."""
    at = draw * sum(server.weight for server in row) >> 64
    for server in row:
        if at < server.weight:
            return server
        at -= server.weight


def pick(rule, source, servers, now):
    if rule == "round-robin":
        for server in servers:
            server.saved += server.weight
        best = max(servers, key=lambda server: server.saved)
        best.saved -= sum(server.weight for server in servers)
        return best
    first = drawn(next(source), servers)
    if rule == "random":
        return first
    draw = next(source)
    second = drawn(draw, [server for server in servers if server is not first])

    def cost(server):
        if rule == "least-connections":
            return server.in_flight
        mean = server.mean_at(now)
        return (MASK if mean == 0 and server.in_flight else mean) * (server.in_flight + 1)

    return second if cost(second) * first.weight < cost(first) * second.weight else first


def play(run):
    config = run["config"]
    rule = config["routing"]["algorithm"]
    servers = [Server(spec, DIGITS[i]) for i, spec in enumerate(config["servers"])]
    usable = sorted(servers, key=lambda server: server.name)
    source, now, begun, picked = draws(run["seed"]), 0, [], ""
    for step in run["steps"]:
        what, *rest = step.split(" ")
        if what == "b":
            server = pick(rule, source, usable, now)
            server.in_flight += 1
            begun.append(server)
            picked += server.place
        elif what == "f":
            server = begun[int(rest[0])]
            server.in_flight -= 1
            server.answered(int(rest[1]) * 1_000_000, rest[2] != "ok", now)
        else:
            now = int(rest[0]) * 1_000_000
    return picked


def main(path):
    n_picked = 0
    for run in json.loads(pathlib.Path(path).read_text())["runs"]:
        # Servers fail.
        if "ejection" in run["config"]:
            continue
        picked = play(run)
        if picked != run["picked"]:
            sys.exit(f"{run['about']}:\n  {picked} here\n  {run['picked']} there")
        n_picked += len(picked)
    print(f"{n_picked} golden picks without keys are those of the independent implementation")


if __name__ == "__main__":
    default = pathlib.Path(__file__).parent.parent / "data/golden/keyless.json"
    main(sys.argv[1] if len(sys.argv) > 1 else default)
