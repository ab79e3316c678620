"""A notebook as HTML that came from nobody but us: what it holds is text, cleaned or escaped."""

from __future__ import annotations

import base64
import binascii
import html
import re
from typing import Any

import mistune
import nh3

from manatee.errors import MalformedError
from manatee.records import parse_json

_TAGS = set(
    "b blockquote br code del div em h1 h2 h3 h4 h5 h6 hr i li ol p pre s span strong sub sup "
    "table tbody td tfoot th thead tr ul".split()
)
"""Of HTML only this comes through, and of attributes only a table's spans: no link, no picture,
no style, no form."""

_ATTRIBUTES = {"td": {"colspan", "rowspan"}, "th": {"colspan", "rowspan"}}
_GONE = {"iframe", "math", "noscript", "object", "script", "style", "svg", "template", "title"}
"""Of these not even the text is kept."""

_PICTURES = ("image/png", "image/jpeg")
_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def notebook_body(data: bytes) -> str:
    """Return a notebook's cells and outputs as harmless HTML.

    Raises:
        MalformedError: It is no notebook of format 4.
    """
    notebook = parse_json(data)
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise MalformedError(
            "the notebook cannot be shown: it is not of format 4.", hint="Download it."
        )
    return "\n".join(_cell(cell) for cell in cells if isinstance(cell, dict))


def _cell(cell: dict[str, Any]) -> str:
    source = _text(cell.get("source"))
    if cell.get("cell_type") == "markdown":
        return _clean(str(_markdown(source)))
    if cell.get("cell_type") != "code":
        return f"<pre>{html.escape(source)}</pre>"
    outputs = cell.get("outputs")
    shown = [_output(item) for item in outputs] if isinstance(outputs, list) else []
    return f'<pre class="code">{html.escape(source)}</pre>' + "".join(shown)


def _output(output: Any) -> str:
    if not isinstance(output, dict):
        return ""
    kind = output.get("output_type")
    if kind == "stream":
        return _block(_escaped(output.get("text")))
    if kind == "error":
        said = f"{_text(output.get('ename'))}: {_text(output.get('evalue'))}"
        return _block(_escaped(said), "out error")
    data = output.get("data")
    return _block(_richest(data)) if isinstance(data, dict) else ""


def _richest(data: dict[str, Any]) -> str:
    for kind in _PICTURES:
        if kind in data and (picture := _picture(kind, data[kind])):
            return picture
    if "text/html" in data:
        return _clean(_text(data["text/html"]))
    if "text/markdown" in data:
        return _clean(str(_markdown(_text(data["text/markdown"]))))
    for kind in ("text/plain", "text/latex", "application/json"):
        if kind in data:
            return _escaped(data[kind])
    return f'<span class="none">Not shown: {html.escape(", ".join(sorted(map(str, data))))}</span>'


def _picture(kind: str, value: Any) -> str:
    try:
        found = base64.b64decode(_text(value), validate=False)
    except (binascii.Error, ValueError):
        return ""
    return f'<img alt="" src="data:{kind};base64,{base64.b64encode(found).decode()}">'


def _block(inner: str, kind: str = "out") -> str:
    return f'<div class="{kind}">{inner}</div>'


def _escaped(value: Any) -> str:
    return f"<pre>{html.escape(_ESCAPES.sub('', _text(value)))}</pre>"


def _clean(markup: str) -> str:
    return nh3.clean(
        markup, tags=_TAGS, attributes=_ATTRIBUTES, clean_content_tags=_GONE, link_rel=None
    )


class _NoLinks(mistune.HTMLRenderer):
    """Links and pictures as text: where they would lead stands behind them."""

    def link(self, text: str, url: str, title: str | None = None) -> str:
        """Return the text of a link, and its address to read."""
        return f"{text} ({html.escape(url)})"

    def image(self, text: str, url: str, title: str | None = None) -> str:
        """Return what a picture would have shown."""
        return f"[picture: {html.escape(text)}]"


_markdown = mistune.create_markdown(renderer=_NoLinks(escape=True), plugins=["table"])


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "".join(item for item in value if isinstance(item, str))
    return value if isinstance(value, str) else "" if value is None else str(value)
