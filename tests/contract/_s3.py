"""An S3-compatible server in a process of its own, and a front before it that fails on demand."""

from __future__ import annotations

import contextlib
import http.client
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest

BUCKET = "manatee-blobs"
SLOW_SECONDS = 3
_SERVE = """
import logging
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
print(server.port, flush=True)
server.serve_forever()
"""


class S3Server:
    """moto's server, with one bucket."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client: Any = boto3.client(
            "s3",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="x",
            aws_secret_access_key="y",
        )
        self._client.create_bucket(Bucket=BUCKET)

    @classmethod
    @contextlib.contextmanager
    def started(cls) -> Iterator[S3Server]:
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVE],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        with process:
            try:
                assert process.stdout is not None
                server = cls(f"http://127.0.0.1:{int(process.stdout.readline())}")
                yield server
                server._client.close()
            finally:
                process.kill()

    def keys(self) -> list[str]:
        listing = self._client.list_objects_v2(Bucket=BUCKET)
        return [item["Key"] for item in listing.get("Contents", [])]

    def uploads(self) -> list[dict[str, Any]]:
        """Uploads in parts that are neither completed nor aborted."""
        return self._client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])

    def empty(self) -> None:
        for key in self.keys():
            self._client.delete_object(Bucket=BUCKET, Key=key)
        for upload in self.uploads():
            self._client.abort_multipart_upload(
                Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"]
            )


@dataclass
class FaultyFront:
    """Passes requests on, or does one of: 500, 503, 403, drop, slow, truncate, flip, hold.

    `flip-upload` changes what is sent, and hides it from a server that compares checksums;
    `flip-upload-seen` does not hide it.

    Attributes:
        left: What is done to the next requests, in order; "pass" passes one on.
        seen: Requests that arrived.
        checksums: For every upload that arrived, whether it named a checksum.
        held: Set when an upload of a part arrived while `hold` was on.
    """

    backend: str
    left: list[str] = field(default_factory=list)
    constant: str | None = None
    seen: int = 0
    checksums: list[bool] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)
    _server: ThreadingHTTPServer | None = None
    _thread: threading.Thread | None = None

    @classmethod
    @contextlib.contextmanager
    def before(cls, backend: str, port: int = 0) -> Iterator[FaultyFront]:
        front = cls(backend)
        front.start(port)
        try:
            yield front
        finally:
            front.stop()

    def start(self, port: int) -> None:
        handler = type("Handler", (_Handler,), {"front": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}
        )
        self._thread.start()

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = None

    def then(self, *faults: str) -> None:
        self.left.extend(faults)

    def always(self, fault: str | None) -> None:
        self.constant = fault

    def next_fault(self) -> str | None:
        self.seen += 1
        return self.left.pop(0) if self.left else self.constant


class _Handler(BaseHTTPRequestHandler):
    front: FaultyFront
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        self.close_connection = True
        fault = self.front.next_fault()
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.command == "PUT":
            self.front.checksums.append("x-amz-checksum-sha256" in self.headers)
        if fault == "hold" and self.command == "PUT":
            self.front.held.set()
            time.sleep(SLOW_SECONDS)
        if fault == "slow":
            time.sleep(SLOW_SECONDS)
        if fault == "drop":
            return
        if fault in ("500", "503", "403"):
            self._answer(int(fault), _REFUSAL if fault == "403" else _FAILURE, {})
            return
        flips = fault in ("flip-upload", "flip-upload-seen") and self.command == "PUT"
        if flips and body:
            body = bytes([body[0] ^ 1]) + body[1:]
        try:
            status, headers, content = self._pass_on(body, checksums=fault != "flip-upload")
        except OSError:
            return  # the server behind has ended meanwhile
        if fault == "flip" and content and self.command == "GET":
            content = content[:-1] + bytes([content[-1] ^ 1])
        self._answer(status, content, headers, short=fault == "truncate")

    def _pass_on(self, body: bytes, *, checksums: bool) -> tuple[int, dict[str, str], bytes]:
        address = urlsplit(self.front.backend)
        line = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
        with contextlib.closing(line):
            headers = {
                name: value
                for name, value in self.headers.items()
                if checksums or not name.lower().startswith(_CHECKSUMS)
            }
            line.request(self.command, self.path, body or None, headers)
            answer = line.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()

    def _answer(
        self, status: int, content: bytes, headers: dict[str, str], *, short: bool = False
    ) -> None:
        with contextlib.suppress(OSError):  # whoever asked may be gone
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in ("connection", "transfer-encoding", "date", "server"):
                    if name.lower() == "content-length" and self.command != "HEAD":
                        continue
                    self.send_header(name, value)
            if self.command != "HEAD":
                self.send_header("content-length", str(len(content) + (1000 if short else 0)))
                self.send_header("connection", "close")
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else content)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


_CHECKSUMS = ("x-amz-checksum", "x-amz-content-sha256")
_REFUSAL = (
    b"<Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>AKIDEXAMPLE</AWSAccessKeyId></Error>"
)
_FAILURE = b"<Error><Code>InternalError</Code><Host>127.0.0.1</Host></Error>"


@contextlib.contextmanager
def full_disk(folder: Path, *, mebibytes: int) -> Iterator[Path]:
    """A real file system with little room. Skips the test where none can be mounted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("cannot mount a small tmpfs here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
