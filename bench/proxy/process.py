"""Processes of one run: started on cores of their own, counted through /proc, ended by their own ids."""

import ctypes
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
# Loaded before any fork: the child may only call what is already there.
_libc = ctypes.CDLL(None)


class Broken(Exception):
    """A program of the run did not do its part. The message holds what it wrote last."""


class Process:
    """One started program with everything it forks."""

    def __init__(self, name: str, argv: list[str], cores: set[int], folder: Path):
        self.name = name
        self._log = folder / f"{name}.log"

        def before_exec():
            os.sched_setaffinity(0, cores)
            # Should this program be killed outright, its children still go.
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

        with open(self._log, "wb") as log:
            self._child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                # A session of its own: Ctrl-C reaches this program only, which then ends the rest in order.
                start_new_session=True,
                preexec_fn=before_exec,
            )

    def wait_until_listening(self, port: int, seconds: float = 10) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self._child.poll() is not None:
                raise Broken(f"{self.name} ended with status {self._child.returncode}:\n{self.log_tail()}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise Broken(f"{self.name} did not listen on port {port} in {seconds:.0f} s:\n{self.log_tail()}")

    def log_tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-10:])

    def stop(self, seconds: float = 5) -> None:
        """Asks the first process to end, waits, then ends what is left of its session."""
        pids = self.pids()
        if self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(seconds)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        for pid in pids:
            try:
                # An id may have been given to a stranger since; a session id cannot.
                if pid != self._child.pid and os.getsid(pid) == self._child.pid:
                    os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def pids(self) -> list[int]:
        """The started process and its descendants."""
        found, ahead = [], [self._child.pid]
        while ahead:
            pid = ahead.pop()
            found.append(pid)
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                ahead += map(int, _read(children).split())
        return found

    def cpu_by_thread(self) -> dict[int, int]:
        """Nanoseconds each thread has run so far, user and system together, by the scheduler's own count."""
        threads = {}
        for pid in self.pids():
            for schedstat in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                fields = _read(schedstat).split()
                if fields:
                    threads[int(schedstat.parent.name)] = int(fields[0])
        return threads

    def resident_bytes(self) -> int:
        """Proportional set size: a page shared by n processes counts as one nth in each."""
        total = 0
        for pid in self.pids():
            for line in _read(Path(f"/proc/{pid}/smaps_rollup")).splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        return total


def cpu_between(before: dict[int, int], after: dict[int, int]) -> int:
    """Nanoseconds run between two readings. Thread by thread, because an ended thread takes its count along."""
    return sum(ran - before.get(thread, 0) for thread, ran in after.items())


def free_ports(count: int) -> list[int]:
    """Ports that were free just now. All are held until the last is known, so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def busy_seconds(cores: set[int]) -> float:
    """Seconds some cores have spent on anything but idling since boot."""
    total, left = 0.0, {f"cpu{core}" for core in cores}
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name in left:
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, ticks[:8])
            total += (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
            left.remove(name)
    if left:
        raise ValueError(f"no {', '.join(sorted(left))} in /proc/stat")
    return total


def _read(file: Path) -> str:
    """The text, or nothing where the thread or process has just ended."""
    try:
        return file.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
