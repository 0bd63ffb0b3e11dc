"""Ringway among what people run: nginx and HAProxy as servers behind it and as proxies beside it, and
curl, wrk, h2load, openssl, a WebSocket client and a gRPC client before it, none of them changed.

    beside.py RINGWAY

Prints a line for each check. Ends with 1 if one did not hold. A program that is not installed ends the
run: nothing is skipped in silence.
"""

import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import clients
import proxies
import servers


def main(ringway: str) -> int:
    with tempfile.TemporaryDirectory(prefix="ringway-beside-") as text, ExitStack() as stack:
        folder = Path(text)
        folder.chmod(0o755)
        certificate = servers.make_certificate(folder)
        behind = servers.start(stack, folder, certificate)
        beside = [
            proxies.ringway(stack, folder, ringway, certificate, behind),
            proxies.nginx(stack, folder, certificate, behind),
            proxies.haproxy(stack, folder, certificate, behind),
        ]
        failed = []
        for name, check in clients.CHECKS.items():
            said = []
            for proxy in beside:
                try:
                    said.append(f"{proxy.name} {check(proxy)}")
                except Exception as error:  # whatever a client says is the finding
                    said.append(f"{proxy.name} FAILED: {error}")
                    if proxy.name == "ringway":
                        failed.append(name)
            print(f"{name}: {'; '.join(said)}", flush=True)
    print(f"{len(clients.CHECKS) - len(failed)} of {len(clients.CHECKS)} clients work through Ringway unchanged")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 2 or not shutil.which(sys.argv[1]):
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
