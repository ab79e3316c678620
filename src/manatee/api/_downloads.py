"""Blobs as streams of bytes, whole or one range of them (RFC 9110, section 14)."""

from __future__ import annotations

import itertools
import re

from fastapi import Request
from starlette.responses import Response, StreamingResponse

from manatee.api._context import context_of
from manatee.api._problems import problem
from manatee.errors import MalformedError, NotFoundError

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


def _range_of(text: str, size: int) -> tuple[int, int] | None:
    """Return the range asked for as start and end; None for all of it.

    A header of another form, or with several ranges, is ignored, as the specification allows. An
    end at or before the start means that there is no such range.
    """
    found = _RANGE.fullmatch(text.replace(" ", ""))
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:  # the last so many bytes
        return max(size - int(last), 0), size
    if last and int(last) < int(first):
        return None  # no range at all: the specification has it ignored
    return int(first), min(int(last) + 1, size) if last else size


def blob_response(request: Request, digest: str) -> Response:
    """Return a blob as a stream of bytes, each of them checked before it is sent.

    If the object store fails midway, the connection ends early: a caller sees fewer bytes than
    were announced, and never a wrong one.

    Raises:
        NotFoundError: It is not there.
        StoreError: Its beginning cannot be had.
    """
    blobs = context_of(request).store.blobs
    blob = blobs.find(digest)
    if blob is None:
        raise NotFoundError("there is no such blob.")
    headers = {"x-digest": digest, "accept-ranges": "bytes", "etag": f'"{digest}"'}
    text = request.headers.get("range", "")
    if request.headers.get("if-range", headers["etag"]) != headers["etag"]:
        text = ""
    wanted = _range_of(text, blob.size)
    start, end = wanted or (0, blob.size)
    if wanted and end <= start:
        refused = problem(MalformedError("the blob has no such range of bytes."), 416)
        refused.headers["content-range"] = f"bytes */{blob.size}"
        return refused
    headers["content-length"] = str(end - start)
    if wanted:
        headers["content-range"] = f"bytes {start}-{end - 1}/{blob.size}"
    stream = blobs.stream(digest, start, end)
    beginning = next(stream, b"")  # fails here, where the answer can still say so
    return StreamingResponse(
        itertools.chain((beginning,), stream),
        status_code=206 if wanted else 200,
        media_type="application/octet-stream",
        headers=headers,
    )
