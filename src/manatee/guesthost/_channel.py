"""The host's end of the guest channel (see `manatee.records._guest`); the guest is hostile."""

from __future__ import annotations

import http.server
import os
import socket
import socketserver
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from manatee.backends._guest_folder import MAX_RESULT_BYTES, GuestFolder, GuestSpec, write_whole
from manatee.errors import (
    ConflictError,
    LimitError,
    MalformedError,
    ManateeError,
    NotFoundError,
    TooLargeError,
    meaning,
)
from manatee.guesthost._key_requests import KeyRequestGate
from manatee.guesthost._relay import MAX_RELAYED_BYTES, BrokerRelay
from manatee.records import (
    Evidence,
    EvidenceKind,
    EvidenceRequest,
    GuestEvent,
    GuestResult,
    Problem,
    canonical_json,
    digest_record,
    read_record,
    unbase64,
)

MAX_EVENTS = 20_000
MAX_EVENT_BYTES = 1000
MAX_EVIDENCE_REQUESTS = 256
MAX_CONNECTIONS = 16
OUTPUTS_OVERHEAD_BYTES = 64 << 10
"""What sealing adds to the outputs: tar headers and age's framing."""

_REQUEST_SECONDS = 60.0
_CHUNK = 1 << 20


class Device(Protocol):
    """The TEE device as the channel sees it."""

    kind: EvidenceKind

    def evidence(self, data: bytes) -> Evidence:
        """Return evidence over the binding in this kind's form."""


class GuestChannel:
    """What a guest may ask for. Every method takes bytes that nobody has checked."""

    def __init__(self, folder: GuestFolder, spec: GuestSpec, device: Device | None) -> None:
        self._folder = folder
        self._spec = spec
        self._device = device
        self._relay = BrokerRelay(spec.broker_urls)
        self._keys = KeyRequestGate(folder, self._relay, frozenset(spec.broker_urls))
        self._lock = threading.Lock()
        self._events = 0
        self._last_seq = -1
        self._evidence_requests = 0
        self._finished = False
        self.max_outputs = spec.resources.output_bytes + OUTPUTS_OVERHEAD_BYTES

    def evidence(self, body: bytes) -> Evidence:
        """Give evidence, in stage `secure` only."""
        if self._device is None:
            raise NotFoundError("a rehearsal has no TEE device.")
        request = read_record(body, EvidenceRequest, what="evidence request", max_bytes=1000)
        with self._lock:
            self._evidence_requests += 1
            if self._evidence_requests > MAX_EVIDENCE_REQUESTS:
                raise LimitError(f"at most {MAX_EVIDENCE_REQUESTS} pieces of evidence per guest.")
        if request.kind != self._device.kind:
            raise NotFoundError(f"this guest has no device of kind {request.kind}.")
        return self._device.evidence(unbase64(request.data))

    def event(self, body: bytes) -> None:
        """Take a progress event; numbers must rise."""
        event = read_record(body, GuestEvent, what="event", max_bytes=MAX_EVENT_BYTES)
        with self._lock:
            if self._events >= MAX_EVENTS:
                raise LimitError(f"at most {MAX_EVENTS} events per guest.")
            if event.seq <= self._last_seq:
                raise ConflictError("event numbers must rise.")
            self._events += 1
            self._last_seq = event.seq
            self._folder.append_event(event)

    def relay(self, broker_id: str, action: str, body: bytes) -> tuple[int, str, bytes]:
        """Pass a request to a broker; one for keys waits until the service has recorded it."""
        if action == "release":
            answer = self._keys.release(broker_id, body)
        else:
            answer = self._relay.post(broker_id, action, body)
        return answer.status, answer.media_type, answer.body

    def outputs(self, chunks: Callable[[int], bytes], length: int) -> None:
        """Take the sealed outputs; the last ones sent before the result count."""
        temporary = self._folder.path / f".outputs.{threading.get_ident()}"
        try:
            with temporary.open("wb") as stream:
                while length:
                    chunk = chunks(min(length, _CHUNK))
                    if not chunk:
                        raise MalformedError("the outputs ended early.")
                    length -= len(chunk)
                    stream.write(chunk)
                stream.flush()
                os.fsync(stream.fileno())
            with self._lock:
                if self._finished:
                    raise ConflictError("the result was delivered already.")
                temporary.replace(self._folder.outputs_file)
        finally:
            temporary.unlink(missing_ok=True)

    def result(self, body: bytes) -> None:
        """Take the one result, of this job and attempt."""
        result = read_record(body, GuestResult, what="result", max_bytes=MAX_RESULT_BYTES)
        plan = self._spec.plan
        if result.job_digest != digest_record(plan.manifest) or result.attempt != plan.attempt:
            raise MalformedError("the result is of another job or attempt.")
        with self._lock:
            if self._finished:
                raise ConflictError("the result was delivered already.")
            write_whole(self._folder.result_file, canonical_json(result))
            self._finished = True


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "manatee"
    sys_version = ""
    timeout = _REQUEST_SECONDS
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet: the guest chooses these words."""

    def address_string(self) -> str:
        """Return a name; a unix socket's peer has none."""
        return "guest"

    def do_POST(self) -> None:
        """Answer a POST."""
        self._serve()

    def do_PUT(self) -> None:
        """Answer a PUT."""
        self._serve()

    def _length(self, most: int) -> int:
        text = self.headers.get("Content-Length", "")
        if self.headers.get("Transfer-Encoding") or not (text.isascii() and text.isdigit()):
            raise MalformedError("a request needs a Content-Length and no transfer coding.")
        if len(text) > 12 or int(text) > most:
            raise TooLargeError(f"at most {most} bytes are taken here.")
        return int(text)

    def _body(self, most: int) -> bytes:
        length = self._length(most)
        data = self.rfile.read(length)
        if len(data) != length:
            raise MalformedError("the body ended early.")
        return data

    def _serve(self) -> None:
        try:
            status, media_type, body = self._route()
        except ManateeError as error:
            # what is left of the body is not read: the connection cannot go on
            self.close_connection = True
            status, media_type = meaning(error).http_status, "application/problem+json"
            body = canonical_json(
                Problem(
                    type="about:blank",
                    title=type(error).__name__,
                    status=status,
                    code=error.code,
                    detail=error.message,
                    hint=error.hint,
                )
            )
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if status != 204:
            self.wfile.write(body)

    def _route(self) -> tuple[int, str, bytes]:
        channel = self.server.channel
        json = "application/json"
        match [self.command, *self.path.split("/")[1:]]:
            case ["POST", "v1", "evidence"]:
                return 200, json, canonical_json(channel.evidence(self._body(1000)))
            case ["POST", "v1", "events"]:
                channel.event(self._body(MAX_EVENT_BYTES))
            case ["POST", "v1", "brokers", broker_id, ("challenge" | "release") as action]:
                return channel.relay(broker_id, action, self._body(MAX_RELAYED_BYTES))
            case ["PUT", "v1", "outputs"]:
                channel.outputs(self.rfile.read, self._length(channel.max_outputs))
            case ["PUT", "v1", "result"]:
                channel.result(self._body(MAX_RESULT_BYTES))
            case _:
                raise NotFoundError("the guest channel has no such address.")
        return 204, json, b""


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = MAX_CONNECTIONS

    def __init__(self, path: Path, channel: GuestChannel) -> None:
        self.channel = channel
        self._free = threading.Semaphore(MAX_CONNECTIONS)
        super().__init__(str(path), _Handler)

    def process_request(self, request: object, client_address: object) -> None:
        """Serve a connection in a thread, unless too many are open."""
        assert isinstance(request, socket.socket)  # noqa: S101 - UnixStreamServer makes these
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: object, client_address: object) -> None:
        """Serve one connection to its end."""
        assert isinstance(request, socket.socket)  # noqa: S101 - UnixStreamServer makes these
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Drop a connection that broke: the guest can break it whenever it likes."""


def serve_channel(path: Path, channel: GuestChannel, uid: int | None) -> Callable[[], None]:
    """Serve the guest channel at a socket that only the guest's user may connect to.

    Returns:
        What stops it.
    """
    server = _Server(path, channel)
    path.chmod(0o600)
    if uid is not None:
        os.chown(path, uid, uid)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def stop() -> None:
        server.shutdown()
        server.server_close()
        path.unlink(missing_ok=True)

    return stop
