"""Asks the real products where keys go.

    compare.py record DIR [NAME…]  write what they answer for the fixed fleets to DIR
    compare.py fresh RINGWAY SEED  compare them with `ringway route` on fleets nobody has seen

A product that is not installed ends the run: nothing is skipped in silence. libketama is in no
distribution: where LIBKETAMA names a shared library made of its sources it is asked, and where not,
that is said.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import edges
import fleets
import memcached
import proxies

ASK = {
    "nginx": proxies.nginx,
    "haproxy": proxies.haproxy,
    "envoy-ring": proxies.envoy,
    "envoy-maglev": proxies.envoy,
    "twemproxy": memcached.twemproxy,
    "libmemcached": memcached.libmemcached,
    "ketama": memcached.libketama,
}
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def asked(config, keys):
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        return ASK[config["routing"]["algorithm"]](config, keys, pathlib.Path(folder))


def record(folder, only):
    keys = fleets.keys(20_240_601)
    folder = pathlib.Path(folder)
    (folder / "keys.json").write_text(json.dumps(keys, ensure_ascii=False, indent=0) + "\n")
    for name, config in (fleets.fleets() | fleets.edge_fleets()).items():
        if (only and not name.startswith(tuple(only))) or is_out_of_reach(name, config):
            continue
        # Keys that fall on points are another fleet's for each fleet.
        own = edges.keys(config, 20_240_601) if "-edges" in name else None
        owners = "".join(DIGITS[i] for i in asked(config, own or keys))
        answers = {"config": config} | ({"keys": own} if own else {}) | {"owners": owners}
        (folder / f"{name}.json").write_text(json.dumps(answers, ensure_ascii=False, indent=1) + "\n")
        print(f"{name}: {len(owners)} answers, {len(set(owners))} servers", flush=True)


def is_out_of_reach(name, config):
    if config["routing"]["algorithm"] != "ketama" or "LIBKETAMA" in os.environ:
        return False
    print(f"{name}: not asked, since LIBKETAMA names no library", flush=True)
    return True


def fresh(ringway, seed):
    n_wrong = 0
    for name, config in (fleets.fresh_fleets(seed) | fleets.edge_fleets()).items():
        if is_out_of_reach(name, config):
            continue
        keys = edges.keys(config, seed) if "-edges" in name else fleets.keys(seed + 1)
        theirs = [config["servers"][i]["name"] for i in asked(config, keys)]
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(config, file)
            file.flush()
            command = [ringway, "route", "--config", file.name]
            lines = subprocess.run(command, input="\n".join(keys) + "\n", text=True, capture_output=True, check=True)
        ours = [json.loads(line)["server"] for line in lines.stdout.splitlines()]
        n = sum(a != b for a, b in zip(ours, theirs, strict=True))
        n_wrong += n
        print(f"{name}: {len(keys) - n} of {len(keys)} answers are equal", flush=True)
    print(f"seed {seed}: {n_wrong} answers differ")
    return n_wrong == 0


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["record", folder, *only]:
            record(folder, only)
        case ["fresh", ringway, seed]:
            sys.exit(0 if fresh(ringway, int(seed)) else 1)
        case _:
            sys.exit(__doc__)
