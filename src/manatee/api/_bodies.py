"""Request bodies, read whole and bounded; records are parsed strictly from the raw bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request
from starlette.requests import ClientDisconnect

from manatee.api._callers import CallerOf
from manatee.api._context import context_of
from manatee.api._patience import MIN_BYTES_PER_SECOND
from manatee.errors import MalformedError, TooLargeError, TooSlowError

MAX_BODY_BYTES = 4 << 20
"""Cap of a JSON body, in bytes; a publication with its contract is the largest."""

MAX_STRANGERS_BYTES = 96 << 10
"""Cap of a JSON body of somebody who is not signed in yet, in bytes."""


async def chunks_of(request: Request) -> AsyncIterator[bytes]:
    """Yield the body as it arrives.

    Raises:
        TooSlowError: The caller stopped sending, or sends less than `MIN_BYTES_PER_SECOND`.
        MalformedError: The caller went away before its end.
    """
    loop = asyncio.get_running_loop()
    patience = context_of(request).stall_seconds
    began, received = loop.time(), 0
    stream = request.stream()
    try:
        while True:
            slowest = began + received / MIN_BYTES_PER_SECOND
            async with asyncio.timeout_at(min(loop.time(), slowest) + patience):
                chunk = await anext(stream, None)
            if chunk is None:
                return
            received += len(chunk)
            if chunk:
                yield chunk
    except TimeoutError as error:
        raise TooSlowError(
            f"{received} bytes of the body arrived, and then too few for {patience:g} seconds.",
            hint="Try again over a better connection.",
        ) from error
    except ClientDisconnect as error:
        raise MalformedError("the body ended before its announced length.") from error


async def _read(request: Request, cap: int) -> bytes:
    body = bytearray()
    async for chunk in chunks_of(request):
        body += chunk
        if len(body) > cap:
            raise TooLargeError(f"the body has more than {cap} bytes.")
    return bytes(body)


async def _json_body(request: Request, _account: CallerOf) -> bytes:
    # depends on the caller, so that nobody unknown has a body read
    return await _read(request, MAX_BODY_BYTES)


async def _strangers_body(request: Request) -> bytes:
    return await _read(request, MAX_STRANGERS_BYTES)


JsonBody = Annotated[bytes, Depends(_json_body)]

StrangersBody = Annotated[bytes, Depends(_strangers_body)]
"""Of somebody who is about to prove who they are: small."""
