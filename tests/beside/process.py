"""Programs on loopback: started on free ports, ended by their own process ids."""

import contextlib
import socket
import subprocess
import time
from pathlib import Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Stack(contextlib.ExitStack):
    """What was started; ended in reverse."""

    def start(self, command: list[str], port: int, log: Path) -> subprocess.Popen:
        """Starts a program and waits until it listens on `port`."""
        output = self.enter_context(open(log, "wb"))
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self.callback(_end, process)
        deadline = time.monotonic() + 30
        while True:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start:\n{log.read_text(errors='replace')[-3000:]}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return process
            time.sleep(0.05)


def _end(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def run(command: list[str], seconds: float = 60, given: str = "") -> str:
    """What a program says that ends by itself, and well."""
    ran = subprocess.run(command, input=given, capture_output=True, text=True, timeout=seconds)
    if ran.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {ran.returncode}: {(ran.stderr or ran.stdout)[-500:]}")
    return ran.stdout
