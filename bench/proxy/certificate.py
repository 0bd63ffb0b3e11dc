"""A certificate for one run, made by openssl: ECDSA P-256, as most sites have."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from process import Broken


@dataclass(frozen=True)
class Certificate:
    chain: str
    key: str
    # Both in one file.
    chain_and_key: str


def make(openssl: str, folder: Path) -> Certificate:
    chain, key, both = (folder / name for name in ("certificate.pem", "key.pem", "both.pem"))
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(chain), "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    if ran.returncode != 0:
        raise Broken(f"openssl made no certificate:\n{ran.stderr}")
    both.write_text(chain.read_text() + key.read_text())
    return Certificate(str(chain), str(key), str(both))
