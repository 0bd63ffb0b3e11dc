"""Programs that end by themselves."""

import subprocess


def run(command: list[str], seconds: float = 60, given: str = "") -> str:
    """What a program says that ends by itself, and well."""
    ran = subprocess.run(command, input=given, capture_output=True, text=True, timeout=seconds)
    if ran.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {ran.returncode}: {(ran.stderr or ran.stdout)[-500:]}")
    return ran.stdout
