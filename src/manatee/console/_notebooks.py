"""Notebooks as plain data for templates: nothing in them is markup, runs or is fetched."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from manatee.errors import MalformedError
from manatee.records import parse_json

MAX_SHOWN_CHARACTERS = 200_000
"""Of one cell's source or output; the rest is left out, and that is said."""

PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Shown:
    """One output: text, or a picture as a data URI; never HTML."""

    text: str = ""
    picture: str = ""


@dataclass(frozen=True)
class Cell:
    """One cell. `kind` is code, markdown or raw; Markdown is shown as it was written."""

    number: int
    kind: str
    source: str
    outputs: tuple[Shown, ...]


def cells_of(data: bytes) -> tuple[Cell, ...]:
    """Read a notebook's cells.

    Raises:
        MalformedError: It is no notebook.
    """
    document = parse_json(data, max_bytes=max(len(data), 1))
    cells = document.get("cells") if isinstance(document, dict) else None
    if not isinstance(cells, list):
        raise MalformedError("this is no notebook.")
    return tuple(_cell(number, cell) for number, cell in enumerate(cells, 1))


def _cell(number: int, cell: Any) -> Cell:
    found = cell if isinstance(cell, dict) else {}
    outputs = found.get("outputs")
    return Cell(
        number=number,
        kind=str(found.get("cell_type", "raw")),
        source=_text(found.get("source", "")),
        outputs=tuple(
            shown
            for output in (outputs if isinstance(outputs, list) else [])
            for shown in _output(output)
        ),
    )


def _text(value: Any) -> str:
    text = "".join(map(str, value)) if isinstance(value, list) else str(value)
    if len(text) > MAX_SHOWN_CHARACTERS:
        return text[:MAX_SHOWN_CHARACTERS] + "\n… the rest is not shown."
    return text


def _output(output: Any) -> list[Shown]:
    if not isinstance(output, dict):
        return []
    if "text" in output:
        return [Shown(text=_text(output["text"]))]
    if output.get("output_type") == "error":
        return [Shown(text=f"error: {_text(output.get('ename', ''))}")]
    data = output.get("data")
    if not isinstance(data, dict):
        return []
    if "image/png" in data and (picture := picture_of(_text(data["image/png"]))):
        return [Shown(picture=picture)]
    if "text/plain" in data:
        return [Shown(text=_text(data["text/plain"]))]
    if "application/json" in data:
        return [Shown(text=_text(json.dumps(data["application/json"], indent=2)))]
    kinds = ", ".join(sorted(map(str, data)))
    return [Shown(text=f"an output of a kind that is not shown: {kinds}")]


def picture_of(encoded: str) -> str:
    """Return a data URI of a PNG in base64; "" if it is none."""
    try:
        data = base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError):
        return ""
    return data_uri(data)


def data_uri(data: bytes) -> str:
    """Return a data URI of a PNG; "" if the bytes are none."""
    if not data.startswith(PNG):
        return ""
    return "data:image/png;base64," + base64.b64encode(data).decode()
