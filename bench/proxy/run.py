#!/usr/bin/env python3
"""CPU per request of the Ringway proxy beside its peers, in one interleaved run. See README.md."""

import sys

# Leaves no compiled files beside the sources.
sys.dont_write_bytecode = True

import argparse
import json
import os
import signal
import tempfile
from contextlib import ExitStack
from pathlib import Path

import certificate
import report
from callgrind import Callgrind
from cases import CASES, Case, Listener
from load import Programs
from measure import Slice, Target, Unfair, check_alone, check_under_load, measure
from origin import Origin
from peers import NGINX_KEEPALIVE, Peer, Setup, find_program, ringway
from peers.found import find
from process import Broken, Process, free_ports

# The load straight at the origin: how fast the load core can go when no proxy is between.
DIRECT = "direct"


class TooDear(Exception):
    """A request takes more instructions than it may."""


def main() -> int:
    options = arguments()
    # Asked to end, it leaves by the same clean-up as on Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    peers, missing = find(options.ringway)
    for line in missing:
        print(line, file=sys.stderr)
    known = [DIRECT, *(peer.name for peer in peers)]
    if len(set(known)) < len(known):
        return refuse("two proxies have one name; give each --ringway one, as NAME=PATH")
    names = options.only.split(",") if options.only else known
    if unknown := set(names) - set(known):
        return refuse(f"not there to be measured: {', '.join(sorted(unknown))}")
    peers = [peer for peer in peers if peer.name in names]
    if not {*options.proxy_cores, options.load_core} <= os.sched_getaffinity(0):
        return refuse("two cores are needed; see --proxy-cores and --load-core")
    # With the load: what this program does between the slices must not fall on the proxy's core.
    os.sched_setaffinity(0, {options.load_core})
    run, written, status = (count_instructions if options.callgrind else compare), [], 0
    for case in options.case:
        with ExitStack() as stack:
            try:
                result, failures = run(options, case, peers, DIRECT in names, stack)
            except (Unfair, Broken, TooDear) as error:
                # The other cases can be measured all the same.
                print(f"{case.name}: {error}", file=sys.stderr)
                status = 1
                continue
            except KeyboardInterrupt:
                return 130
        written.append(result)
        if failures:
            status = refuse(f"{case.name}: {failures} requests failed", status=1)
    if options.json:
        options.json.write_text(json.dumps(written, indent=2) + "\n")
    return status


def compare(
    options: argparse.Namespace, case: Case, peers: list[Peer], has_direct: bool, stack: ExitStack
) -> tuple[dict, int]:
    """Loads the proxies in turn and prints the table. Returns what goes into the JSON and how much failed."""
    programs = Programs(needed("wrk", "wrk"), needed("h2load", "nghttp2-client"))
    folder, origin = start_origin(options, case, stack)
    own = made_certificate(case, folder)
    targets = []
    for peer in peers:
        try:
            target = start_peer(options, case, peer, origin, own, folder, stack)
            check_alone(target, origin, case)
            check_under_load(programs, target, case)
            targets.append(target)
        except (Unfair, Broken) as error:
            # Of a peer alone that cannot do this case, the others' figures are still worth having.
            if peer.command is ringway.command or peer.name == "nginx":
                raise
            print(f"{case.name}: without {peer.name}: {error}", file=sys.stderr)
    # Its servers speak plain HTTP/1.1 only.
    if has_direct and case.listener is Listener.HTTP1:
        target = Target(DIRECT, origin.ports[0], origin.process, {options.load_core}, is_proxy=False)
        check_under_load(programs, target, case)
        targets.append(target)

    slices: dict[str, list[Slice]] = {target.name: [] for target in targets}
    for number in range(options.rounds):
        # Each round starts with the next one, so that none is always after the same other.
        first = number % len(targets)
        for target in targets[first:] + targets[:first]:
            slices[target.name].append(measure(programs, target, origin, case, options.seconds))
        print(f"{case.name}: round {number + 1} of {options.rounds}", file=sys.stderr)

    figures = report.summarise(slices, {target.name: target.process.resident_bytes() for target in targets})
    versions = {peer.name: peer.version for peer in peers}
    print(report.table(case, options.rounds, options.seconds, versions, figures))
    own_names = [peer.name for peer in peers if peer.command is ringway.command]
    for note in report.notes(case, options.rounds, figures, own_names):
        print(f"\n{note}")
    print(flush=True)
    settings = {
        "slice_seconds": options.seconds,
        "nginx_keepalive": options.nginx_keepalive,
        "workers": options.workers,
    }
    failures = sum(of["failures"] for of in figures.values())
    return report.as_json(case, settings, versions, slices, figures), failures


def count_instructions(
    options: argparse.Namespace, case: Case, peers: list[Peer], _has_direct: bool, stack: ExitStack
) -> tuple[dict, int]:
    """Counts the proxies one after the other and prints a line for each."""
    valgrind, h2load = needed("valgrind", "valgrind"), needed("h2load", "nghttp2-client")
    folder, origin = start_origin(options, case, stack)
    own = made_certificate(case, folder)
    counting = Callgrind(valgrind, h2load, case, origin, own, min(options.proxy_cores), folder)
    counted = {}
    fewer, more = options.requests
    print(f"{case.name}: user instructions per request, from runs of {fewer} and {more} requests\n")
    for peer in peers:
        counted[peer.name] = counting.instructions_per_request(peer, fewer, more)
        print(f"{peer.name:12} {counted[peer.name]:10,.0f}", flush=True)
    print()
    if options.at_most:
        for name, count in counted.items():
            if count > options.at_most:
                raise TooDear(f"{name} takes {count:,.0f} instructions, and may take {options.at_most:,}")
    versions = {peer.name: peer.version for peer in peers}
    return {"case": case.name, "versions": versions, "instructions_per_request": counted}, 0


def made_certificate(case: Case, folder: Path) -> certificate.Certificate | None:
    if case.listener is not Listener.TLS:
        return None
    return certificate.make(needed("openssl", "openssl"), folder)


def start_origin(options: argparse.Namespace, case: Case, stack: ExitStack) -> tuple[Path, Origin]:
    """The run's folder and the origin. Both end with `stack`."""
    nginx = needed("nginx", "nginx")
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ringway-bench-")))
    origin = Origin(nginx, case, {options.load_core}, folder / "origin")
    stack.callback(origin.process.stop)
    origin.wait_until_listening()
    return folder, origin


def start_peer(
    options: argparse.Namespace,
    case: Case,
    peer: Peer,
    origin: Origin,
    own: certificate.Certificate | None,
    folder: Path,
    stack: ExitStack,
) -> Target:
    """Starts it and waits until it listens, so that its port is taken before the next one asks for a free one."""
    place = folder / peer.name
    place.mkdir()
    [port] = free_ports(1)
    setup = Setup(
        port, case.listener, origin.ports, place, own, nginx_keepalive=options.nginx_keepalive, workers=options.workers
    )
    process = Process(peer.name, peer.command(peer.binary, setup), options.proxy_cores, place)
    stack.callback(process.stop)
    process.wait_until_listening(port)
    return Target(peer.name, port, process, options.proxy_cores)


def needed(program: str, package: str) -> str:
    found = find_program(program)
    if not found:
        sys.exit(f"{program} is missing, and nothing can be measured without it: apt-get install {package}")
    return found


def refuse(why: str, status: int = 2) -> int:
    print(why, file=sys.stderr)
    return status


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--case", type=cases, default=cases("get"), metavar="NAMES", help=f"of {', '.join(CASES)}, or all; get by default"
    )
    parser.add_argument("--rounds", type=positive, default=report.ENOUGH_ROUNDS)
    parser.add_argument("--seconds", type=positive, default=1, help="length of a slice")
    parser.add_argument("--only", metavar="NAMES", help="for instance ringway,nginx,direct; all there are by default")
    parser.add_argument(
        "--ringway",
        metavar="[NAME=]PATH",
        action="append",
        default=[],
        help="the binary to measure; may be repeated, with names, to compare builds",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write figures and every slice")
    parser.add_argument(
        "--nginx-keepalive", type=positive, default=NGINX_KEEPALIVE, help="idle connections nginx keeps to all servers"
    )
    parser.add_argument("--workers", type=positive, default=1, help="threads of each proxy")
    parser.add_argument(
        "--proxy-cores", type=lambda text: {int(core) for core in text.split(",")}, default={0}, metavar="CORES"
    )
    parser.add_argument("--load-core", type=int, default=1)
    parser.add_argument("--callgrind", action="store_true", help="count user instructions instead of time")
    parser.add_argument(
        "--requests", type=positive, nargs=2, default=[2000, 12000], metavar=("FEWER", "MORE"), help="for --callgrind"
    )
    parser.add_argument(
        "--at-most", type=positive, metavar="NUMBER", help="fail if --callgrind counts more instructions for any of them"
    )
    options = parser.parse_args()
    if options.requests[0] >= options.requests[1]:
        parser.error("--requests wants the smaller number first")
    return options


def cases(text: str) -> list[Case]:
    names = CASES if text == "all" else text.split(",")
    if unknown := [name for name in names if name not in CASES]:
        raise argparse.ArgumentTypeError(f"no case {', '.join(unknown)}; there are {', '.join(CASES)}")
    return [CASES[name] for name in names]


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


if __name__ == "__main__":
    sys.exit(main())
