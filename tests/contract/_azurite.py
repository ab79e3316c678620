"""Microsoft's own server for tests of Azure Blob Storage, if it is installed (npm: azurite)."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import http.client
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest

PORT = 10000
"""Where the client library looks for it; it takes no other."""
ACCOUNT = "devstoreaccount1"
# the account that every azurite has; published in its documentation
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
CONTAINER = "manatee-blobs"
_START_SECONDS = 30


@contextlib.contextmanager
def azurite(folder: Path) -> Iterator[None]:
    """Run it with an empty container. Skips the test where it is not installed."""
    program = shutil.which("azurite-blob")
    if program is None:
        pytest.skip("azurite is not installed")
    command = [program, "--blobPort", str(PORT), "--location", str(folder), "--silent"]
    with subprocess.Popen([*command, "--disableTelemetry"], stdout=subprocess.DEVNULL) as process:
        try:
            _wait()
            _make_container()
            yield
        finally:
            process.kill()


def _wait() -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", PORT)).close()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, "azurite did not start"
            time.sleep(0.1)
        else:
            return


def _make_container() -> None:
    date, version = formatdate(usegmt=True), "2021-08-06"
    signed = (
        "PUT" + "\n" * 12 + f"x-ms-date:{date}\nx-ms-version:{version}\n"
        f"/{ACCOUNT}/{ACCOUNT}/{CONTAINER}\nrestype:container"
    )
    mac = hmac.digest(base64.b64decode(_KEY), signed.encode(), hashlib.sha256)
    headers = {
        "x-ms-date": date,
        "x-ms-version": version,
        "authorization": f"SharedKey {ACCOUNT}:{base64.b64encode(mac).decode()}",
        "content-length": "0",
    }
    line = http.client.HTTPConnection("127.0.0.1", PORT)
    with contextlib.closing(line):
        line.request("PUT", f"/{ACCOUNT}/{CONTAINER}?restype=container", headers=headers)
        assert line.getresponse().status in (201, 409)
