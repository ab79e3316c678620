"""OpenStack Swift with its S3 interface: a server that is run in production, all in one folder.

It checks signatures and checksums, and keeps parts on disk. It is used where it is installed, on
PATH or in `.tools/swift`: `uv pip install swift 'setuptools<80'` in an environment of its own, with
Debian's `liberasurecode1`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

USER, KEY = "test:tester", "testing"
_TOOLS = Path(__file__).resolve().parents[2] / ".tools" / "swift" / "bin"
_PLACES = ("object", "container", "account")
_START_SECONDS = 60
_COMMON = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {etc}
devices = {devices}
mount_check = false
log_level = ERROR
"""
_PROXY = """
[pipeline:main]
pipeline = catch_errors cache listing_formats s3api tempauth bulk slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:1
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
"""
_HASH = """
[swift-hash]
swift_hash_path_prefix = a
swift_hash_path_suffix = b
[storage-policy:0]
name = one
default = yes
"""


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        lines = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [line.getsockname()[1] for line in lines]


def _configure(folder: Path, programs: Path) -> int:
    etc, devices = folder / "etc", folder / "devices"
    etc.mkdir()
    (devices / "d1").mkdir(parents=True)
    (etc / "swift.conf").write_text(_HASH)
    proxy, *others = _free_ports(1 + len(_PLACES))
    user = os.environ.get("USER", "root")
    common = {"user": user, "etc": etc, "devices": devices}
    for name, port in zip(_PLACES, others, strict=True):
        tail = f"[pipeline:main]\npipeline = {name}-server\n"
        tail += f"[app:{name}-server]\nuse = egg:swift#{name}\n"
        (etc / f"{name}.conf").write_text(_COMMON.format(port=port, **common) + tail)
        device = f"r1z1-127.0.0.1:{port}/d1"
        for step in (["create", "4", "1", "0"], ["add", device, "1"], ["rebalance"]):
            ring = [programs / "swift-ring-builder", etc / f"{name}.builder", *step]
            subprocess.run(ring, check=True, stdout=subprocess.DEVNULL)
    (etc / "proxy.conf").write_text(_COMMON.format(port=proxy, **common) + _PROXY)
    return proxy


@contextlib.contextmanager
def swift(folder: Path, bucket: str) -> Iterator[str]:
    """Run it with an empty bucket; gives its URL. Skips the test where it is not installed."""
    found = shutil.which("swift-proxy-server", path=f"{_TOOLS}:{os.environ['PATH']}")
    if found is None:
        pytest.skip("Swift is not installed")
    programs = Path(found).parent
    url = f"http://127.0.0.1:{_configure(folder, programs)}"
    with contextlib.ExitStack() as running:
        for name in (*_PLACES, "proxy"):
            log = running.enter_context((folder / f"{name}.log").open("wb"))
            command = [programs / f"swift-{name}-server", folder / "etc" / f"{name}.conf"]
            process = subprocess.Popen(command, stdout=log, stderr=log)
            running.enter_context(process)
            running.callback(process.kill)
        _make_bucket(url, bucket)
        yield url


def _make_bucket(url: str, bucket: str) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=USER,
        aws_secret_access_key=KEY,
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )
    deadline = time.monotonic() + _START_SECONDS
    with contextlib.closing(client):
        while True:
            try:
                client.create_bucket(Bucket=bucket)
            except Exception:  # noqa: BLE001  # whatever it is, it is so until all four have started
                assert time.monotonic() < deadline, "Swift did not start"
                time.sleep(0.2)
            else:
                return
