"""One request on a connection of its own, over whatever a listener speaks: for checks, not for load."""

import http.client
import ssl
import subprocess

from cases import Listener
from process import Broken


def ask(listener: Listener, port: int, path: str) -> tuple[int, str]:
    """The status and the body of the answer to a GET."""
    if listener is Listener.H2C:
        return _ask_h2(port, path)
    if listener is Listener.TLS:
        # The certificate is the run's own.
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=context)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise Broken(f"no answer to GET {path} on port {port}: {error!r}") from error
    finally:
        connection.close()


def _ask_h2(port: int, path: str) -> tuple[int, str]:
    # Python has no HTTP/2 of its own.
    command = ["curl", "-s", "-m", "5", "--http2-prior-knowledge", "-w", "\n%{http_code}"]
    ran = subprocess.run([*command, f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, timeout=10)
    if ran.returncode != 0:
        raise Broken(f"no answer to GET {path} on port {port} by HTTP/2: curl ended with {ran.returncode}")
    body, _, status = ran.stdout.rpartition("\n")
    return int(status), body
