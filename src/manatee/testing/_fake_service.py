"""A local HTTP service for tests that can also fail, in the ways services do."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Failure = Literal["throttled", "forbidden", "broken", "slow", "nonsense", "empty", "hung-up"]
"""How a service fails: HTTP 429, 403 or 500 with a body of its own kind; no answer; a page that
is no answer to the question, or an empty object, with status 200; a connection closed without a
word."""

STATUS: dict[str, int] = {"throttled": 429, "forbidden": 403, "broken": 500}


@dataclass(frozen=True)
class Asked:
    """One request, as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass(frozen=True)
class Said:
    """One answer."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)


class FakeService:
    """Answers requests; subclasses know what. `failure` makes every request fail."""

    def __init__(self) -> None:
        self.failure: Failure | None = None
        self.failures_left: int | None = None
        """How many requests fail before the service recovers; None: all."""
        self.requests: list[Asked] = []
        self.url = ""
        self.elsewhere: str | None = None
        """Address to which every request is redirected."""
        self.released = threading.Event()

    def answer(self, asked: Asked) -> Said:
        """Answer a request."""
        raise NotImplementedError

    def refusal(self, status: int) -> Said:
        """Return this service's error body for a status."""
        return Said(status, {"error": {"code": status}})

    def _failure_now(self) -> Failure | None:
        if self.failure is not None and self.failures_left is not None:
            if self.failures_left == 0:
                return None
            self.failures_left -= 1
        return self.failure

    def _respond(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        raw = handler.rfile.read(length)
        try:
            body = json.loads(raw) if raw else {}
        except ValueError:
            body = {"raw": raw.decode("latin-1")}
        headers = {name.lower(): value for name, value in handler.headers.items()}
        asked = Asked(handler.command, handler.path, headers, body)
        self.requests.append(asked)
        failure = self._failure_now()
        if failure == "slow":
            self.released.wait(10)
        if failure in {"slow", "hung-up"}:
            handler.close_connection = True
            return
        if failure == "nonsense":
            self._send(handler, 200, b"<html>busy</html>", {"Content-Type": "text/html"})
            return
        if failure == "empty":
            self._send(handler, 200, b"{}", {"Content-Type": "application/json"})
            return
        if self.elsewhere is not None:
            self._send(handler, 307, b"", {"Location": self.elsewhere + asked.path})
            return
        said = self.refusal(STATUS[failure]) if failure else self.answer(asked)
        data = json.dumps(said.body).encode()
        self._send(handler, said.status, data, {"Content-Type": "application/json"} | said.headers)

    @staticmethod
    def _send(
        handler: BaseHTTPRequestHandler, status: int, data: bytes, headers: dict[str, str]
    ) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)


@contextmanager
def serving(service: FakeService, *, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve on loopback, at a free port; yields the address, which is also `service.url`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            service._respond(self)  # noqa: SLF001  # the two are one thing

        do_GET = do_POST = do_PUT = _any  # noqa: N815  # the library's names

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    service.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_address[1]}"
    try:
        yield service.url
    finally:
        service.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
