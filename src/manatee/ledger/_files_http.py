"""A log's folder over HTTP: a bare ASGI application of its public files, and of no others."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from manatee.errors import ManateeError, NotFoundError, meaning
from manatee.ledger._ledger import CHECKPOINT
from manatee.ledger._storage import LogFolder

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_TILE = re.compile(
    r"tile/(?:entries|[0-9]|[1-5][0-9]|6[0-3])/(?:x[0-9]{3}/){0,6}[0-9]{3}"
    r"(?:\.p/(?:[1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5]))?"
)
_TEXT = b"text/plain; charset=utf-8"
_BYTES = b"application/octet-stream"


def public_name(path: str) -> str | None:
    """Return the file of a log that a URL path names, or None: no other file is ever opened."""
    name = path.removeprefix("/")
    return name if name == CHECKPOINT or _TILE.fullmatch(name) else None


def _inside(folder: Path, name: str) -> bool:
    """Whether a file stays in the folder when links are followed."""
    try:
        return (folder / name).resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):
        return False


def log_app(folder: Path) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """Return the ASGI application of one log's files (C2SP tlog-tiles): GET and HEAD only.

    Tiles may be cached for ever, the checkpoint never. Needs no lock: files are written whole.
    """
    files = LogFolder(folder)

    def find(name: str | None) -> tuple[int, bytes, bytes, bytes]:
        if name is None or not _inside(folder, name):
            return 404, _TEXT, b"no-store", b"not found\n"
        try:
            data = files.read(name)
        except NotFoundError:
            return 404, _TEXT, b"no-store", b"not found\n"
        except ManateeError as error:
            return meaning(error).http_status, _TEXT, b"no-store", b"the file cannot be read\n"
        if name == CHECKPOINT:
            return 200, _TEXT, b"no-cache", data
        return 200, _BYTES, b"public, max-age=31536000, immutable", data

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        if scope["type"] != "http":
            return
        if scope["method"] in ("GET", "HEAD"):
            found = await asyncio.to_thread(find, public_name(scope["path"]))
        else:
            found = (405, _TEXT, b"no-store", b"GET only\n")
        status, media_type, cache, body = found
        headers = [
            (b"content-type", media_type),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", cache),
            (b"x-content-type-options", b"nosniff"),
            *([(b"allow", b"GET, HEAD")] if status == 405 else []),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        shown = b"" if scope["method"] == "HEAD" else body
        await send({"type": "http.response.body", "body": shown})

    return app
