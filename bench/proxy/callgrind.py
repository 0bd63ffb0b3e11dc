"""User instructions per request, counted by callgrind: a figure that other work on the machine hardly moves.

The proxy runs twice, with fewer and with more requests. The difference of the two counts over the difference
of the requests is what one request costs; starting, stopping and opening connections cancel.
"""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cases import Case, Listener
from certificate import Certificate
from load import uris
from measure import Target, Unfair, check_alone
from origin import Origin
from peers import Peer, Setup
from process import Broken, Process, free_ports

_CONNECTIONS = 16
# Programs start, answer and stop some fifty times slower here.
_PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Callgrind:
    valgrind: str
    h2load: str
    case: Case
    origin: Origin
    certificate: Certificate | None
    core: int
    folder: Path

    def instructions_per_request(self, peer: Peer, fewer: int, more: int) -> float:
        low, high = (self._instructions(peer, requests) for requests in (fewer, more))
        return (high - low) / (more - fewer)

    def _instructions(self, peer: Peer, requests: int) -> int:
        """All user instructions of one run, of all threads, from start to end."""
        folder = self.folder / f"{peer.name}-{requests}"
        folder.mkdir()
        # A port for each run: the last one's may still be held by connections that wait out their end.
        [port] = free_ports(1)
        out = folder / "callgrind.out"
        # Valgrind runs one thread at a time; fair, so that no thread waits for ever.
        argv = [self.valgrind, "--tool=callgrind", "--fair-sched=try", f"--callgrind-out-file={out}"]
        setup = Setup(port, self.case.listener, self.origin.ports, folder, self.certificate, is_one_process=True)
        argv += peer.command(peer.binary, setup)
        process = Process(peer.name, argv, {self.core}, folder)
        try:
            process.wait_until_listening(port, _PATIENCE_SECONDS)
            check_alone(Target(peer.name, port, process, {self.core}), self.origin, self.case)
            before = self.origin.count().requests
            self._load(port, folder, requests)
            served = self.origin.count().requests - before
            if served < requests:
                raise Unfair(f"{peer.name}: {requests} answers, but the servers gave only {served}")
        finally:
            process.stop(_PATIENCE_SECONDS)
        total = re.search(r"^totals: (\d+)", out.read_text() if out.exists() else "", re.MULTILINE)
        if not total:
            raise Broken(f"{peer.name}: callgrind left no count:\n{process.log_tail()}")
        return int(total[1])

    def _load(self, port: int, folder: Path, requests: int) -> None:
        """An exact number of requests; wrk can only be told a time."""
        paths = folder / "paths.txt"
        paths.write_text(uris(self.case, port))
        command = [self.h2load, "-n", str(requests), "-c", str(_CONNECTIONS), "-m", str(self.case.streams), "-t", "1"]
        command += ["-i", str(paths)] + ([] if self.case.listener is Listener.H2C else ["--h1"])
        if self.case.body:
            body = folder / "body.txt"
            body.write_text("b" * self.case.body)
            command += ["-d", str(body)]
        ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
        if f" {requests} succeeded" not in ran.stdout or f"status codes: {requests} 2xx" not in ran.stdout:
            raise Broken(f"h2load did not get {requests} answers:\n{ran.stdout}{ran.stderr}")
