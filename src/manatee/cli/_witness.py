"""A witness of the log of runs beside the service: for the demo, as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from manatee.errors import ServiceUnreachableError
from manatee.ledger import COSIGNATURE, signer_in

NAME = "witness.demo.invalid"
STOP_SECONDS = 20


def witness_key(folder: Path) -> str:
    """Return the verifier key of the witness in a folder; makes the key on first use."""
    path = folder.with_name(f"{folder.name}-key.json")
    return str(signer_in(path, NAME, COSIGNATURE).key)


@contextmanager
def running_witness(folder: Path, log_key: str) -> Iterator[tuple[str, str]]:
    """Run `manatee ledger witness` while the block runs.

    Yields:
        Its verifier key and its address.

    Raises:
        ServiceUnreachableError: It did not come up.
    """
    command = [sys.executable, "-m", "manatee.cli", "ledger", "witness", str(folder)]
    command += ["--name", NAME, "--log", log_key, "--port", "0"]
    process = subprocess.Popen(
        command,
        env={"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        key, url = (process.stdout.readline().strip() if process.stdout else "" for _ in range(2))
        if not url:
            raise ServiceUnreachableError("the witness did not start.")
        yield key, url
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()
