"""The broker over HTTP: a bare ASGI application of two routes, without a web framework.

The trusted core stays small: any ASGI server runs it, alone or mounted in `manatee serve`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from manatee.errors import (
    InputError,
    KeyDeniedError,
    LimitError,
    MalformedError,
    ManateeError,
    TooLargeError,
    meaning,
)
from manatee.keybroker._broker import MAX_BODY_BYTES, KeyBroker
from manatee.records import Record, canonical_json

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


BODY_SECONDS = 20.0
"""How long a body may take to arrive; a guest's is there at once."""

MAX_REQUESTS_IN_HAND = 128
"""Requests that are read or decided at one time; each holds a body of at most `MAX_BODY_BYTES`."""


async def _body(receive: Receive) -> bytes:
    """Return the body. Raises TooLargeError, MalformedError: too large, late or cut off."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _all_of(receive)
    except TimeoutError as error:
        raise MalformedError("the request's body did not arrive in time.") from error


async def _all_of(receive: Receive) -> bytes:
    received = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise MalformedError("the request ended before its body did.")
        received += message.get("body", b"")
        if len(received) > MAX_BODY_BYTES:
            raise TooLargeError(f"the body is over {MAX_BODY_BYTES} bytes.")
        if not message.get("more_body", False):
            return bytes(received)


async def _answer(send: Send, status: int, media_type: str, body: bytes) -> None:
    headers = [
        (b"content-type", media_type.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    if status == meaning(TooLargeError).http_status:
        headers.append((b"connection", b"close"))  # what is left of the body is not read
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def problem(error: ManateeError) -> tuple[int, bytes]:
    """Return status and RFC 9457 body of an error; a denial names its check and nothing more.

    What the policy allows is the provider's business: the researcher's side learns the name of
    the failed check, the provider reads the rest in the decision log.
    """
    status = meaning(error).http_status
    body = {
        "type": "about:blank",
        "title": type(error).__name__,
        "status": status,
        "code": error.code,
        "detail": error.message,
        # what broke inside may name files and places: no business of whoever asks
        "hint": error.hint if isinstance(error, InputError | LimitError) else "",
    }
    if isinstance(error, KeyDeniedError):
        body |= {
            "check": error.check,
            "detail": f"The key broker refused at check `{error.check}`.",
            "hint": "The data provider finds the reason in the broker's decision log.",
        }
    return status, canonical_json(body)


def asgi_app(broker: KeyBroker) -> AsgiApp:
    """Return the ASGI application of one broker: `POST /v1/challenge` and `POST /v1/release`."""
    routes: dict[str, Callable[[bytes], Record]] = {
        "/v1/challenge": broker.challenge,
        "/v1/release": broker.release,
    }

    in_hand = 0

    async def decided(handler: Callable[[bytes], Record], receive: Receive) -> Record:
        nonlocal in_hand
        if in_hand >= MAX_REQUESTS_IN_HAND:
            raise LimitError("too many requests at one time.", hint="Try again in a minute.")
        in_hand += 1
        try:
            return await asyncio.to_thread(handler, await _body(receive))
        finally:
            in_hand -= 1

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        if scope["type"] != "http":
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path == "/healthz" and scope["method"] == "GET":
            await _answer(send, 200, "application/json", b'{"status":"ok"}')
            return
        handler = routes.get(path)
        if handler is None or scope["method"] != "POST":
            status = 404 if handler is None else 405
            body = canonical_json({"type": "about:blank", "status": status, "code": "not-found"})
            await _answer(send, status, "application/problem+json", body)
            return
        try:
            record = await decided(handler, receive)
        except ManateeError as error:
            status, body = problem(error)
            await _answer(send, status, "application/problem+json", body)
        else:
            await _answer(send, 200, "application/json", canonical_json(record))

    return app
