"""Reads what a running proxy tells Prometheus by Prometheus' own parser of OpenMetrics.

    python3 tests/oracle/metrics.py [target/debug/ringway]
"""

import json
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families

NAMES = ["a", 'quoted "b"', "back\\slash", "größe ☃"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()


def main(binary):
    port, api = free_port(), free_port()
    # Nobody listens there, so that there are errors to count.
    dead = free_port()
    servers = [{"name": name, "address": "127.0.0.1", "port": dead} for name in NAMES]
    config = {
        "servers": servers,
        "listen": {"port": port},
        "api": {"port": api},
        "routing": {"hash_key": ["path"]},
        "health_check": {"enabled": False},
    }
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "config.json")
        file.write_text(json.dumps(config))
        proxy = subprocess.Popen([binary, "serve", "--config", file, "--log", "off"])
        try:
            for _ in range(500):
                try:
                    get(f"http://127.0.0.1:{api}/livez")
                    break
                except OSError:
                    time.sleep(0.02)
            for i in range(40):
                get(f"http://127.0.0.1:{port}/{i}")
            text = get(f"http://127.0.0.1:{api}/metrics")
        finally:
            proxy.send_signal(signal.SIGTERM)
            status = proxy.wait(timeout=60)
    assert status == 0, status
    families = {family.name: family for family in text_string_to_metric_families(text)}
    labels = {sample.labels["server"] for sample in families["ringway_server_weight"].samples}
    assert labels == set(NAMES), labels
    by_code = sum(sample.value for sample in families["ringway_server_responses"].samples)
    by_class = sum(sample.value for sample in families["ringway_server_requests"].samples)
    assert by_code == by_class >= 40, (by_code, by_class)
    n_samples = sum(len(family.samples) for family in families.values())
    print(f"{n_samples} samples of {len(families)} families are read by Prometheus' own parser")


if __name__ == "__main__":
    default = pathlib.Path(__file__).parent.parent.parent / "target/debug/ringway"
    main(sys.argv[1] if len(sys.argv) > 1 else default)
