"""One proxy under load: the checks before, and one measured slice."""

import ipaddress
import time
from dataclasses import dataclass

import load
from ask import ask
from cases import Case, path
from load import Programs
from origin import FORWARDED_PATH, Origin
from process import Broken, Process, busy_seconds, cpu_between

# Requests the origin may count beyond the load's own: health probes of the proxies that are up.
_PROBES = 16

# What a proxy still does after the load has gone (closing connections) belongs to its slice.
_SETTLE_SECONDS = 0.05


class Unfair(Exception):
    """A proxy did not do the same work as the others, so its figure would mean nothing."""


@dataclass(frozen=True)
class Target:
    """Something to load: a proxy, or the origin itself."""

    name: str
    port: int
    process: Process
    cores: set[int]
    is_proxy: bool = True


@dataclass(frozen=True)
class Slice:
    requests: int
    requests_per_second: float
    cpu_us_per_request: float
    failures: int
    # Connections opened to the servers.
    connections: int
    # Fraction of the load core used by load and origin together.
    load_core: float
    # Fraction of one core, of the proxy's, used by work that is not ours.
    others: float
    # Threads that ended within the slice; what they ran in it is not in the figure.
    ended_threads: int


def check_alone(target: Target, origin: Origin, case: Case) -> None:
    """Without load: does the proxy hash the path, reach every server and add X-Forwarded-For?"""
    owners = {}
    for number in [*range(min(case.paths, 20 * case.servers))] * 2:
        status, body = ask(case.listener, target.port, path(number))
        if status != 200 or body not in origin.bodies:
            raise Unfair(f"{target.name}: {path(number)} was not answered by a server: {status} {body!r}")
        if owners.setdefault(number, body) != body:
            raise Unfair(f"{target.name}: {path(number)} went to two servers; it does not hash the path")
    if len(set(owners.values())) < case.servers:
        raise Unfair(f"{target.name}: only {len(set(owners.values()))} of {case.servers} servers were reached")
    status, seen = ask(case.listener, target.port, FORWARDED_PATH)
    if status != 200 or not _is_address(seen):
        raise Unfair(f"{target.name}: X-Forwarded-For arrived as {seen!r}, not as an address")


def _is_address(text: str) -> bool:
    # Of clients on this machine Envoy tells another of the machine's addresses than 127.0.0.1.
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def check_under_load(programs: Programs, target: Target, case: Case) -> None:
    """One slice in which every answer is looked at. It also warms the proxy up."""
    loaded = load.run(programs, case, target.port, seconds=1, check=True)
    if loaded.requests == 0 or loaded.foreign:
        raise Unfair(f"{target.name}: {loaded.foreign} of {loaded.requests} answers did not come from a server")


def measure(programs: Programs, target: Target, origin: Origin, case: Case, seconds: int) -> Slice:
    counted_before = origin.count()
    origin_before, core_before = origin.process.cpu_by_thread(), busy_seconds(target.cores)
    threads_before, began = target.process.cpu_by_thread(), time.monotonic()

    loaded = load.run(programs, case, target.port, seconds)
    time.sleep(_SETTLE_SECONDS)

    threads_after, wall = target.process.cpu_by_thread(), time.monotonic() - began
    origin_after, core_after = origin.process.cpu_by_thread(), busy_seconds(target.cores)
    counted_after = origin.count()

    requests = counted_after.requests - counted_before.requests
    _check_count(target, case, loaded, requests)
    cpu = cpu_between(threads_before, threads_after)
    if cpu < 1000 * loaded.requests:
        # No program answers in under a microsecond: the kernel does not count, or does not name the children.
        raise Broken(f"{target.name}: {cpu} ns for {loaded.requests} requests; /proc does not tell the truth")
    ours = cpu / 1e9
    if not target.is_proxy:
        ours += loaded.cpu_seconds
    return Slice(
        requests=loaded.requests,
        requests_per_second=loaded.requests / loaded.seconds,
        cpu_us_per_request=cpu / 1e3 / loaded.requests,
        failures=loaded.failures,
        connections=counted_after.connections - counted_before.connections,
        load_core=(cpu_between(origin_before, origin_after) / 1e9 + loaded.cpu_seconds) / wall,
        others=max(0.0, (core_after - core_before - ours) / wall),
        ended_threads=len(threads_before.keys() - threads_after.keys()),
    )


def _check_count(target: Target, case: Case, loaded: load.Loaded, served: int) -> None:
    """The origin must have served what the load got, and no more than was also under way when the load ended."""
    if loaded.requests == 0:
        raise Unfair(f"{target.name}: not one request was completed")
    if served < loaded.requests - loaded.failures:
        raise Unfair(f"{target.name}: {loaded.requests} answers, but the servers gave only {served}")
    if served > loaded.requests + loaded.failures + case.connections * case.streams + _PROBES:
        raise Unfair(f"{target.name}: {loaded.requests} answers, but the servers were asked {served} times")
