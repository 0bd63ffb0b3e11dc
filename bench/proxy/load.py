"""The load: wrk as fast as it can for one slice, every connection kept alive."""

import json
import os
import re
import resource
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cases import Case
from process import Broken

_SCRIPT = Path(__file__).resolve().parent / "load.lua"


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


def run(wrk: str, case: Case, port: int, seconds: int, check: bool = False) -> Loaded:
    """Runs on the core of the caller, who has pinned itself to the load core."""
    command = [wrk, "-t", "1", "-c", str(case.connections), "-d", f"{seconds}s", "-s", str(_SCRIPT)]
    command += [f"http://127.0.0.1:{port}", "--", str(case.paths)] + (["check"] if check else [])
    before = _children_cpu()
    # The limit only catches a load that hangs.
    ran = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds + 20, cwd=os.sep
    )
    line = re.search(r"^result (.*)$", ran.stdout, re.MULTILINE)
    if ran.returncode != 0 or not line:
        raise Broken(f"wrk failed with status {ran.returncode}:\n{ran.stdout}{ran.stderr}")
    result = json.loads(line[1])
    return Loaded(
        requests=result["requests"],
        seconds=result["microseconds"] / 1e6,
        failures=result["failures"],
        foreign=result["foreign"],
        cpu_seconds=_children_cpu() - before,
    )


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
