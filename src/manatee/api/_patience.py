"""A connection whose client does not get on is cut, so that nothing is held for it for ever.

Three kinds are told apart: a head that does not end, a body that stops coming, and an answer that
is not taken. Waiting for the service itself never counts against a client. A body that stops or
crawls is first answered by `chunks_of`, with 408; this here is for whoever takes no answer either.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

STALL_SECONDS = 30.0
"""How long a client may take for a head, or pause within a body or an answer."""

MIN_BYTES_PER_SECOND = 1024
"""Average below which a body counts as stopped, after `STALL_SECONDS`."""


class PatientProtocol(H11Protocol):
    """uvicorn's protocol for HTTP/1.1, with a watch on the client."""

    stall_seconds = STALL_SECONDS

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        now = self.loop.time()
        self._head_since: float | None = now
        self._received_at = now
        self._taken_at = now
        self._waiting_bytes = 0
        self._watch = self.loop.call_later(self.stall_seconds / 4, self._look)

    def data_received(self, data: bytes) -> None:
        self._received_at = self.loop.time()
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._head_since = None
        elif self._head_since is None:
            self._head_since = self._received_at

    def resume_writing(self) -> None:
        self._taken_at = self.loop.time()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        now = self.loop.time()
        waiting = self.transport.get_write_buffer_size()
        if waiting != self._waiting_bytes or not waiting:
            self._taken_at = now
        self._waiting_bytes = waiting
        head = self._head_since is not None and now - self._head_since >= self.stall_seconds
        body = (
            self.conn.their_state is h11.SEND_BODY
            and not self.flow.read_paused
            and now - self._received_at >= 2 * self.stall_seconds
        )
        if head or body or now - self._taken_at >= self.stall_seconds:
            # what lies in the system's buffers is given up too: nobody takes it
            peer = self.transport.get_extra_info("socket")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()
        else:
            self._watch = self.loop.call_later(self.stall_seconds / 4, self._look)


def patient(stall_seconds: float) -> type[asyncio.Protocol]:
    """Return the protocol with another patience."""
    made: dict[str, Any] = {"stall_seconds": stall_seconds}
    return cast("type[asyncio.Protocol]", type("PatientProtocol", (PatientProtocol,), made))
