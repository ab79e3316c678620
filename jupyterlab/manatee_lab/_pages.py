"""Pages of untrusted outputs: they show, and can do nothing else.

The pages are served under a policy that forbids scripts and every request. They are harmless
without it, too: of a notebook only text, plain tables and pictures that stand in the file itself
come through, and no link leads anywhere.
"""

from __future__ import annotations

import base64
import html
from pathlib import PurePosixPath

from manatee.errors import MalformedError, TooLargeError
from manatee_lab._notebook_page import notebook_body

MAX_VIEW_BYTES = 32 << 20
"""Larger files are downloaded, not looked at."""

_PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}
_TEXTS = {".csv", ".json", ".md", ".txt", ".tsv", ".yaml", ".yml", ".html", ".svg", ".tex"}

_STYLE = """
:root{color-scheme:light}
body{font:14px/1.55 system-ui,sans-serif;color:#1d2125;background:#fff;margin:20px auto;
max-width:860px;padding:0 20px;overflow-wrap:anywhere}
h1{font-size:24px}h2{font-size:19px}h3{font-size:16px}
pre,code{font:12.5px/1.5 ui-monospace,monospace}
pre{margin:0;white-space:pre-wrap;word-break:break-word}
.code{background:#f4f5f7;border:1px solid #e3e6ea;border-radius:6px;margin:14px 0 0;
padding:8px 12px}
.out{border-left:3px solid #d6dae0;margin:6px 0 14px 12px;padding:2px 12px;overflow-x:auto}
.error{background:#fdeaec;border-color:#a3122b;color:#a3122b}
.none{color:#5a6068;font-size:12px}
img{max-width:100%}
table{border-collapse:collapse;font-size:13px}
td,th{border-bottom:1px solid #d6dae0;padding:3px 12px 3px 0;text-align:right}
"""


def media_type(path: str) -> str:
    """Return a file's kind by its ending; bytes where it is none of ours."""
    ending = PurePosixPath(path).suffix.lower()
    if ending == ".ipynb":
        return "application/x-ipynb+json"
    if ending in _TEXTS:
        return "text/plain"
    return _PICTURES.get(ending, "application/octet-stream")


def viewable(path: str) -> bool:
    """Return whether `page_of` can show it."""
    return media_type(path) != "application/octet-stream"


def page_of(path: str, data: bytes) -> bytes:
    """Return a page of its own that shows one file.

    Raises:
        MalformedError: It cannot be shown.
        TooLargeError: It should be downloaded instead.
    """
    if len(data) > MAX_VIEW_BYTES:
        raise TooLargeError(f"{path} is too large to show.", hint="Download it.")
    kind = media_type(path)
    if kind == "application/x-ipynb+json":
        body = notebook_body(data)
    elif kind.startswith("image/"):
        picture = base64.b64encode(data).decode()
        body = f'<img alt="{html.escape(path)}" src="data:{kind};base64,{picture}">'
    elif kind == "text/plain":
        body = f"<pre>{html.escape(data.decode(errors='replace'))}</pre>"
    else:
        raise MalformedError(f"{path} is of no kind that can be shown.", hint="Download it.")
    title = html.escape(path)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body>{body}</body></html>"
    ).encode(errors="replace")
