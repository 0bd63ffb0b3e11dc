"""The load: as fast as one thread can for one slice. wrk for HTTP/1.1, with and without TLS; h2load for HTTP/2."""

import json
import os
import re
import resource
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cases import Case, Listener, path
from process import Broken

_SCRIPT = Path(__file__).resolve().parent / "load.lua"


@dataclass(frozen=True)
class Programs:
    wrk: str
    h2load: str


@dataclass(frozen=True)
class Loaded:
    requests: int
    seconds: float
    # Connections that broke, requests that timed out, statuses of 400 and above.
    failures: int
    # Answers that no server gave; counted only where `check` was asked for.
    foreign: int
    # What the load itself used of its core.
    cpu_seconds: float


def run(programs: Programs, case: Case, port: int, seconds: int, check: bool = False) -> Loaded:
    """Runs on the core of the caller, who has pinned itself to the load core."""
    before = _children_cpu()
    if case.listener is Listener.H2C:
        requests, took, failures, foreign = _h2load(programs.h2load, case, port, seconds)
    else:
        requests, took, failures, foreign = _wrk(programs.wrk, case, port, seconds, check)
    return Loaded(requests, took, failures, foreign, cpu_seconds=_children_cpu() - before)


def _wrk(wrk: str, case: Case, port: int, seconds: int, check: bool) -> tuple[int, float, int, int]:
    scheme = "https" if case.listener is Listener.TLS else "http"
    command = [wrk, "-t", "1", "-c", str(case.connections), "-d", f"{seconds}s", "-s", str(_SCRIPT)]
    command += [f"{scheme}://127.0.0.1:{port}", "--", str(case.paths), str(case.body), str(case.answer)]
    command += ["keep" if case.is_kept else "close"] + (["check"] if check else [])
    output = _run(command, seconds)
    line = re.search(r"^result (.*)$", output, re.MULTILINE)
    if not line:
        raise Broken(f"wrk said nothing of its result:\n{output}")
    result = json.loads(line[1])
    return result["requests"], result["microseconds"] / 1e6, result["failures"], result["foreign"]


def _h2load(h2load: str, case: Case, port: int, seconds: int) -> tuple[int, float, int, int]:
    with tempfile.NamedTemporaryFile("w", prefix="ringway-bench-", suffix=".txt") as paths:
        paths.write(uris(case, port))
        paths.flush()
        command = [h2load, "-t", "1", "-c", str(case.connections), "-m", str(case.streams), "-i", paths.name]
        output = _run([*command, "-D", str(seconds)], seconds)
    done = re.search(r"^requests: .* (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored", output, re.MULTILINE)
    took = re.search(r"^finished in ([\d.]+)(m?s)", output, re.MULTILINE)
    data = re.search(r"\((\d+)\) data$", output, re.MULTILINE)
    if not done or not took or not data:
        raise Broken(f"h2load said nothing of its result:\n{output}")
    _, succeeded, failed, errored = map(int, done.groups())
    # It does not look into answers; that all have the length of a server's is what it can tell.
    foreign = abs(int(data[1]) - succeeded * case.answer)
    # It lets nothing end that is under way when the slice does.
    foreign = 0 if foreign <= case.connections * case.streams * case.answer else foreign
    return succeeded, float(took[1]) / (1000 if took[2] == "ms" else 1), failed + errored, foreign


def uris(case: Case, port: int) -> str:
    """Every path as h2load reads them."""
    scheme = "https" if case.listener is Listener.TLS else "http"
    return "".join(f"{scheme}://127.0.0.1:{port}{path(number)}\n" for number in range(case.paths))


def _run(command: list[str], seconds: int) -> str:
    # The limit only catches a load that hangs.
    ran = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds + 20, cwd=os.sep
    )
    if ran.returncode != 0:
        raise Broken(f"{command[0]} failed with status {ran.returncode}:\n{ran.stdout}{ran.stderr}")
    return ran.stdout


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
