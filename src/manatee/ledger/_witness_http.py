"""A witness over HTTP: a bare ASGI application of one route."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from manatee.errors import ManateeError, meaning
from manatee.ledger._witness import MAX_REQUEST_BYTES, Witness, WitnessAnswer

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


async def _body(receive: Receive) -> bytes | None:
    """Return the request's body, or None when it is too large or cut off."""
    received = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        received += message.get("body", b"")
        if len(received) > MAX_REQUEST_BYTES:
            return None
        if not message.get("more_body", False):
            return bytes(received)


def witness_app(witness: Witness) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """Return the ASGI application of one witness: `POST /add-checkpoint`."""

    async def answer(scope: Scope, receive: Receive) -> WitnessAnswer:
        if scope["path"] == "/healthz" and scope["method"] == "GET":
            return WitnessAnswer(200, b"ok\n")
        if scope["path"] != "/add-checkpoint":
            return WitnessAnswer(404, b"not found\n")
        if scope["method"] != "POST":
            return WitnessAnswer(405, b"POST only\n")
        body = await _body(receive)
        if body is None:
            return WitnessAnswer(413, b"too large\n")
        try:
            return await asyncio.to_thread(witness.add_checkpoint, body)
        except ManateeError as error:
            return WitnessAnswer(meaning(error).http_status, f"{error.message}\n".encode())

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        if scope["type"] != "http":
            return
        found = await answer(scope, receive)
        headers = [
            (b"content-type", found.media_type.encode()),
            (b"content-length", str(len(found.body)).encode()),
            *([(b"allow", b"POST")] if found.status == 405 else []),
            *([(b"connection", b"close")] if found.status == 413 else []),
        ]
        await send({"type": "http.response.start", "status": found.status, "headers": headers})
        await send({"type": "http.response.body", "body": found.body})

    return app
