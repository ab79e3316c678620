"""What the service does when it has no room, a full queue, or a caller who does not get on."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from manatee.api import create_app, serve_in_thread
from manatee.client import ManateeClient
from manatee.errors import DamagedBlobError, StoreFullError
from manatee.records import canonical_json, digest_bytes
from manatee.testing import ControlPlane
from manatee.testing._control_plane import RUNTIME, TWIN

STALL = 0.9
"""Seconds of patience of the server under test."""
END = 15
"""Seconds after which a server that has not cut a caller off never will."""


class Service:
    """A running server with little patience and a queue of one."""

    def __init__(self, plane: ControlPlane, url: str) -> None:
        self.plane = plane
        self.url = url

    def call(self, method: str, path: str, *, as_: str = "alice", **more) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.plane.tokens[as_]}"} | more.pop("headers", {})
        return httpx.request(
            method, self.url + path, headers=headers, trust_env=False, timeout=30, **more
        )

    def line(self) -> socket.socket:
        address = urlsplit(self.url)
        made = socket.create_connection((address.hostname, address.port))
        made.settimeout(END)
        return made

    def head(self, method: str, path: str, length: int = 0, as_: str = "alice") -> bytes:
        token = self.plane.tokens[as_]
        return (
            f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Length: {length}\r\n\r\n"
        ).encode()


@contextlib.contextmanager
def serving(plane: ControlPlane) -> Iterator[Service]:
    app = create_app(
        plane.store,
        replace(plane.settings, max_queued_jobs=1),
        plane.clock,
        runtimes=[RUNTIME],
        stall_seconds=STALL,
    )
    with serve_in_thread(app, stall_seconds=STALL) as url:
        yield Service(plane, url)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    plane = ControlPlane(tmp_path)
    with serving(plane) as made:
        yield made
    plane.store.close()


def everything_from(line: socket.socket) -> bytes:
    """Return all until the other side closes; a reset is an end as good as any."""
    got = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while part := line.recv(1 << 16):
            got += part
    return bytes(got)


# --- no room ------------------------------------------------------------------------------------


def test_a_full_disk_is_507_with_a_time_to_come_back_and_nothing_is_kept(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("cannot mount a small tmpfs here")
    try:
        plane = ControlPlane(small)
        with serving(plane) as service:
            big = os.urandom(16 << 20)
            answer = service.call("PUT", f"/v1/blobs/{digest_bytes(big)}", content=big)
            assert (answer.status_code, answer.json()["code"]) == (507, "store-full")
            assert int(answer.headers["retry-after"]) > 0
            assert "Make room" in answer.json()["hint"]
            assert plane.store.blobs.find(digest_bytes(big)) is None
            assert list(plane.store.blobs.incoming.iterdir()) == []
            client = ManateeClient(service.url, plane.tokens["alice"])
            with contextlib.closing(client), pytest.raises(StoreFullError):
                client.upload_bytes(big)
            fits = os.urandom(1 << 20)
            assert (
                service.call("PUT", f"/v1/blobs/{digest_bytes(fits)}", content=fits).status_code
                == 204
            )
        plane.store.close()
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_full_queue_is_429_with_a_time_to_come_back_and_the_first_job_stays(
    service: Service,
) -> None:
    def submit(number: int) -> httpx.Response:
        manifest = service.plane.manifest(submission=number)
        return service.call("POST", "/v1/jobs", content=canonical_json(manifest))

    assert submit(1).status_code == 201
    refused = submit(2)
    assert (refused.status_code, refused.json()["code"]) == (429, "limit")
    assert int(refused.headers["retry-after"]) > 0
    assert len(service.call("GET", "/v1/jobs").json()["jobs"]) == 1


# --- callers who do not get on ------------------------------------------------------------------


def test_a_body_that_stops_is_408_and_leaves_nothing(service: Service) -> None:
    data = bytes(1000)
    with service.line() as line:
        line.sendall(service.head("PUT", f"/v1/blobs/{digest_bytes(data)}", 1000) + data[:10])
        answer = everything_from(line)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"too-slow"' in answer
    assert b"retry-after: " in answer
    assert list(service.plane.store.blobs.incoming.iterdir()) == []
    assert service.call("GET", "/v1/whoami").status_code == 200


def test_a_body_that_crawls_is_408_though_it_never_stops(service: Service) -> None:
    data = bytes(100_000)
    with service.line() as line:
        line.sendall(service.head("PUT", f"/v1/blobs/{digest_bytes(data)}", len(data)))
        began = time.monotonic()
        line.settimeout(STALL / 4)
        answer = b""
        while not answer and time.monotonic() < began + END:
            line.sendall(b"\0")
            with contextlib.suppress(TimeoutError):
                answer = line.recv(1 << 16)
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_json_body_that_stops_is_408(service: Service) -> None:
    with service.line() as line:
        line.sendall(service.head("POST", "/v1/jobs", 1000) + b"{")
        assert everything_from(line).startswith(b"HTTP/1.1 408 ")


def test_a_body_with_pauses_shorter_than_the_patience_is_taken(service: Service) -> None:
    data = os.urandom(8)
    with service.line() as line:
        line.sendall(service.head("PUT", f"/v1/blobs/{digest_bytes(data)}", len(data)))
        for position in range(0, len(data), 4):
            time.sleep(STALL / 3)
            line.sendall(data[position : position + 4])
        assert line.recv(1 << 16).startswith(b"HTTP/1.1 204 ")


@pytest.mark.parametrize("dribble", [False, True])
def test_a_head_that_does_not_end_is_cut_off(service: Service, dribble: bool) -> None:
    with service.line() as line:
        line.sendall(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
        began = time.monotonic()
        if dribble:
            line.settimeout(STALL / 4)
            ended = False
            while not ended and time.monotonic() < began + END:
                try:
                    line.sendall(b"x")
                    ended = line.recv(10) == b""
                except TimeoutError:
                    continue
                except OSError:
                    ended = True
            assert ended
        else:
            assert everything_from(line) == b""
        assert time.monotonic() - began < END


def test_a_connection_kept_alive_is_not_cut_off_while_it_is_used(service: Service) -> None:
    headers = {"authorization": f"Bearer {service.plane.tokens['alice']}"}
    with httpx.Client(base_url=service.url, headers=headers, trust_env=False) as client:
        for _ in range(6):
            assert client.get("/v1/whoami").status_code == 200
            time.sleep(STALL / 3)


def test_an_answer_that_is_not_taken_is_cut_off_and_holds_no_worker(service: Service) -> None:
    big = os.urandom(32 << 20)
    digest = service.plane.upload("alice", big)
    job = service.plane.submit(workspace_digest=digest)
    with contextlib.ExitStack() as lines:
        idle = []
        for _ in range(45):  # over the pool of workers
            line = lines.enter_context(service.line())
            idle.append(line)
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            line.sendall(service.head("GET", f"/v1/jobs/{job.id}/workspace"))
        began = time.monotonic()
        assert service.call("GET", "/v1/whoami").status_code == 200
        assert time.monotonic() - began < END
        time.sleep(3 * STALL)
        assert all(len(everything_from(line)) < len(big) for line in idle)
    whole = service.call("GET", f"/v1/jobs/{job.id}/workspace")
    assert whole.content == big


def test_an_answer_that_is_taken_slowly_but_steadily_is_given_whole(service: Service) -> None:
    big = os.urandom(8 << 20)
    digest = service.plane.upload("alice", big)
    job = service.plane.submit(workspace_digest=digest)
    with service.line() as line:
        line.sendall(service.head("GET", f"/v1/jobs/{job.id}/workspace"))
        got, began = bytearray(), time.monotonic()
        while not got.endswith(big[-16:]):
            got += line.recv(256 << 10)
            time.sleep(STALL / 10)
    assert got.endswith(big)
    assert time.monotonic() - began > 1.5 * STALL


def test_a_quiet_event_stream_is_not_taken_for_a_caller_who_stopped(service: Service) -> None:
    job = service.plane.submit()
    headers = {"authorization": f"Bearer {service.plane.tokens['alice']}"}
    address = f"{service.url}/v1/jobs/{job.id}/events"
    with httpx.stream("GET", address, headers=headers, trust_env=False, timeout=30) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "id: 1"
        later = threading.Timer(3 * STALL, service.call, ["POST", f"/v1/jobs/{job.id}/cancel"])
        later.start()
        for text in lines:
            if text == "id: 2":
                break
        later.join()


# --- downloads ----------------------------------------------------------------------------------


def test_a_download_can_go_on_where_it_stopped(service: Service) -> None:
    path = "/v1/datasets/insurance/twin/t.parquet"
    whole = service.call("GET", path)
    assert (whole.status_code, whole.content) == (200, TWIN)
    assert whole.headers["accept-ranges"] == "bytes"
    size = len(TWIN)
    for asked, start, end in (
        ("bytes=3-", 3, size),
        ("bytes=0-0", 0, 1),
        ("bytes=2-5", 2, 6),
        ("bytes=-4", size - 4, size),
        ("bytes=5-9999", 5, size),
    ):
        part = service.call("GET", path, headers={"range": asked})
        assert (part.status_code, part.content) == (206, TWIN[start:end])
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
    for ignored in ("bytes=5-2", "bytes=0-1,3-4", "lines=1-2", "bytes=-"):
        assert service.call("GET", path, headers={"range": ignored}).content == TWIN
    changed = {"range": "bytes=3-", "if-range": '"another"'}
    assert service.call("GET", path, headers=changed).content == TWIN
    beyond = service.call("GET", path, headers={"range": f"bytes={size}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")


def test_a_damaged_blob_is_told_and_not_a_byte_of_it_is_sent(service: Service) -> None:
    place = service.plane.store.blobs._place
    file = place.path_of(digest_bytes(TWIN))
    file.chmod(0o644)
    file.write_bytes(b"X" + TWIN[1:])
    answer = service.call("GET", "/v1/datasets/insurance/twin/t.parquet")
    assert (answer.status_code, answer.json()["code"]) == (500, DamagedBlobError.code)
    assert "retry-after" not in answer.headers


def test_an_app_that_waits_for_ever_for_a_body_has_its_caller_cut_off() -> None:
    async def app(scope, receive, send) -> None:
        while (await receive()).get("more_body"):
            pass

    with serve_in_thread(app, stall_seconds=STALL) as url:
        address = urlsplit(url)
        with socket.create_connection((address.hostname, address.port)) as line:
            line.settimeout(END)
            line.sendall(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n1")
            assert everything_from(line) == b""
