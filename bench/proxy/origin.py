"""The servers behind the proxies: one nginx process with a port per server.

It counts what it served, so that an answer which a proxy made by itself shows. Short answers come from its
configuration, long ones from files that the system has in memory.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ask import ask
from cases import Case, Listener
from process import Broken, Process, free_ports

# Answers with what it saw in X-Forwarded-For; for the checks before the load.
FORWARDED_PATH = "/forwarded"

# More than a run can reach: a connection must not be closed by count in one proxy and not in another.
NO_REQUEST_LIMIT = 1_000_000_000

# The longest answer that its configuration can hold as text.
_AS_TEXT = 1000


@dataclass(frozen=True)
class Count:
    requests: int
    connections: int


class Origin:
    def __init__(self, nginx: str, case: Case, cores: set[int], folder: Path):
        folder.mkdir()
        self._status_port, *self.ports = free_ports(1 + case.servers)
        self.bodies = [_body(number, case.answer) for number in range(1, case.servers + 1)]
        self._folder = folder
        self._own_reads = 0
        config = folder / "nginx.conf"
        config.write_text(self._config())
        self.process = Process("origin", [nginx, "-p", str(folder), "-c", str(config), "-e", "stderr"], cores, folder)

    def wait_until_listening(self) -> None:
        for port in [*self.ports, self._status_port]:
            self.process.wait_until_listening(port)

    def count(self) -> Count:
        """What all servers together have served. Reading it costs one request and one connection, left out here."""
        status, text = ask(Listener.HTTP1, self._status_port, "/")
        counters = re.search(r"^ *(\d+) +\d+ +(\d+) *$", text, re.MULTILINE)
        if status != 200 or not counters:
            raise Broken(f"the origin gave no count: {status} {text!r}")
        self._own_reads += 1
        return Count(int(counters[2]) - self._own_reads, int(counters[1]) - self._own_reads)

    def _config(self) -> str:
        servers = "\n".join(
            f"""
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location / {{ {self._answer(number, body)} }}
        location = {FORWARDED_PATH} {{ return 200 "$http_x_forwarded_for"; }}
    }}"""
            for number, (port, body) in enumerate(zip(self.ports, self.bodies), 1)
        )
        return f"""{nginx_main()}
http {{
{nginx_http()}
    keepalive_timeout 1h;
    sendfile on;
    tcp_nopush on;
    open_file_cache max=1000 inactive=1h;
    default_type text/plain;
    server {{
        listen 127.0.0.1:{self._status_port};
        location / {{ stub_status; }}
    }}{servers}
}}
"""

    def _answer(self, number: int, body: str) -> str:
        """What is done at any path."""
        if len(body) <= _AS_TEXT:
            return f'return 200 "{body}";'
        (self._folder / f"body{number}").write_text(body)
        return f"root {self._folder}; rewrite ^ /body{number} break;"


def nginx_main(is_one_process: bool = False, workers: int = 1) -> str:
    """The first lines of an nginx configuration, for the origin and for nginx as a proxy.

    `is_one_process` is for callgrind, which counts one process; else there is the usual master with one worker.
    """
    # As root, nginx would hand its worker to another user, who may not read the temporary folder.
    user = "user root;\n" if os.geteuid() == 0 else ""
    master = "master_process off;\n" if is_one_process else ""
    return f"""{user}{master}daemon off;
worker_processes {workers};
pid nginx.pid;
events {{ worker_connections 4096; }}"""


def nginx_http() -> str:
    """What both want inside `http`: no access log, no limit by count, temporary files in the run's folder."""
    folders = "\n".join(
        f"    {kind}_temp_path {kind}_temp;" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""    access_log off;
    keepalive_requests {NO_REQUEST_LIMIT};
{folders}"""


def _body(number: int, length: int) -> str:
    """Begins with 20 bytes that no proxy would make up, and that tell which server they are from."""
    return f"answer by origin {number:03d}".ljust(length, ".")
