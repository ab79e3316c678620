"""Request bodies, read whole and bounded; records are parsed strictly from the raw bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request
from starlette.requests import ClientDisconnect

from manatee.api._callers import CallerOf
from manatee.errors import MalformedError, TooLargeError

MAX_BODY_BYTES = 4 << 20
"""Cap of a JSON body, in bytes; a publication with its contract is the largest."""


async def chunks_of(request: Request) -> AsyncIterator[bytes]:
    """Yield the body as it arrives.

    Raises:
        MalformedError: The caller went away before its end.
    """
    try:
        async for chunk in request.stream():
            if chunk:
                yield chunk
    except ClientDisconnect as error:
        raise MalformedError("the body ended before its announced length.") from error


async def _json_body(request: Request, _account: CallerOf) -> bytes:
    # depends on the caller, so that nobody unknown has a body read
    body = bytearray()
    async for chunk in chunks_of(request):
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise TooLargeError(f"the body has more than {MAX_BODY_BYTES} bytes.")
    return bytes(body)


JsonBody = Annotated[bytes, Depends(_json_body)]
