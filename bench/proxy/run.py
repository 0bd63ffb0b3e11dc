#!/usr/bin/env python3
"""CPU per request of the Ringway proxy beside nginx and HAProxy, in one interleaved run. See README.md."""

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

import report
from callgrind import Callgrind
from cases import CASES, Case
from measure import Slice, Target, Unfair, check_alone, check_under_load, measure
from origin import Origin
from process import Broken, Process, free_ports
from proxies import NGINX_KEEPALIVE, Proxy, Setup, find_program, find_proxies

# The load straight at the origin: how fast the load core can go when no proxy is between.
DIRECT = "direct"


def main() -> int:
    options = arguments()
    # Asked to end, it leaves by the same clean-up as on Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    proxies, missing = find_proxies(options.ringway)
    for line in missing:
        print(line, file=sys.stderr)
    known = [DIRECT, *(proxy.name for proxy in proxies)]
    if len(set(known)) < len(known):
        return refuse("two proxies have one name; give each --ringway one, as NAME=PATH")
    names = options.only.split(",") if options.only else known
    if unknown := set(names) - set(known):
        return refuse(f"not there to be measured: {', '.join(sorted(unknown))}")
    proxies = [proxy for proxy in proxies if proxy.name in names]
    if not {options.proxy_core, options.load_core} <= os.sched_getaffinity(0):
        return refuse("two cores are needed; see --proxy-core and --load-core")
    # With the load: what this program does between the slices must not fall on the proxy's core.
    os.sched_setaffinity(0, {options.load_core})
    with ExitStack() as stack:
        try:
            if options.callgrind:
                return count_instructions(options, proxies, stack)
            return compare(options, proxies, DIRECT in names, stack)
        except (Unfair, Broken) as error:
            return refuse(str(error), status=1)
        except KeyboardInterrupt:
            return 130


def compare(options: argparse.Namespace, proxies: list[Proxy], direct: bool, stack: ExitStack) -> int:
    """Loads the proxies in turn and prints the table."""
    wrk = needed("wrk", "wrk")
    case = CASES[options.case]
    folder, origin = start_origin(options, case, stack)
    targets = [start_proxy(options, proxy, origin, folder, stack) for proxy in proxies]
    for target in targets:
        check_alone(target, origin, case)
    if direct:
        targets.append(Target(DIRECT, origin.ports[0], origin.process, options.load_core, is_proxy=False))
    for target in targets:
        check_under_load(wrk, target, case)

    slices: dict[str, list[Slice]] = {target.name: [] for target in targets}
    for number in range(options.rounds):
        # Each round starts with the next one, so that none is always after the same other.
        first = number % len(targets)
        for target in targets[first:] + targets[:first]:
            slices[target.name].append(measure(wrk, target, origin, case, options.seconds))
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)

    figures = report.summarise(slices, {target.name: target.process.resident_bytes() for target in targets})
    versions = {proxy.name: proxy.version for proxy in proxies}
    print(report.table(case, options.rounds, options.seconds, versions, figures))
    for note in report.notes(options.rounds, figures, [target.name for target in targets if target.is_proxy]):
        print(f"\n{note}")
    if options.json:
        settings = {"slice_seconds": options.seconds, "nginx_keepalive": options.nginx_keepalive}
        written = report.as_json(case, settings, versions, slices, figures)
        options.json.write_text(json.dumps(written, indent=2) + "\n")
    failures = sum(of["failures"] for of in figures.values())
    return refuse(f"{failures} requests failed", status=1) if failures else 0


def count_instructions(options: argparse.Namespace, proxies: list[Proxy], stack: ExitStack) -> int:
    """Counts the proxies one after the other and prints a line for each."""
    valgrind, h2load = needed("valgrind", "valgrind"), needed("h2load", "nghttp2-client")
    case = CASES[options.case]
    folder, origin = start_origin(options, case, stack)
    counting = Callgrind(valgrind, h2load, case, origin, options.proxy_core, folder)
    counted = {}
    fewer, more = options.requests
    print(f"{case.name}: user instructions per request, from runs of {fewer} and {more} requests\n")
    for proxy in proxies:
        counted[proxy.name] = counting.instructions_per_request(proxy, fewer, more)
        print(f"{proxy.name:12} {counted[proxy.name]:10,.0f}", flush=True)
    if options.json:
        versions = {proxy.name: proxy.version for proxy in proxies}
        written = {"case": case.name, "versions": versions, "instructions_per_request": counted}
        options.json.write_text(json.dumps(written, indent=2) + "\n")
    return 0


def start_origin(options: argparse.Namespace, case: Case, stack: ExitStack) -> tuple[Path, Origin]:
    """The run's folder and the origin. Both end with `stack`."""
    nginx = needed("nginx", "nginx")
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ringway-bench-")))
    origin = Origin(nginx, case, options.load_core, folder / "origin")
    stack.callback(origin.process.stop)
    origin.wait_until_listening()
    return folder, origin


def start_proxy(
    options: argparse.Namespace, proxy: Proxy, origin: Origin, folder: Path, stack: ExitStack
) -> Target:
    """Starts it and waits until it listens, so that its port is taken before the next one asks for a free one."""
    own = folder / proxy.name
    own.mkdir()
    [port] = free_ports(1)
    command = proxy.command(proxy.binary, Setup(port, origin.ports, own, options.nginx_keepalive))
    process = Process(proxy.name, command, options.proxy_core, own)
    stack.callback(process.stop)
    process.wait_until_listening(port)
    return Target(proxy.name, port, process, options.proxy_core)


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
    parser.add_argument("--case", choices=CASES, default="get")
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
    parser.add_argument("--proxy-core", type=int, default=0)
    parser.add_argument("--load-core", type=int, default=1)
    parser.add_argument("--callgrind", action="store_true", help="count user instructions instead of time")
    parser.add_argument(
        "--requests", type=positive, nargs=2, default=[2000, 12000], metavar=("FEWER", "MORE"), help="for --callgrind"
    )
    options = parser.parse_args()
    if options.requests[0] >= options.requests[1]:
        parser.error("--requests wants the smaller number first")
    return options


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


if __name__ == "__main__":
    sys.exit(main())
