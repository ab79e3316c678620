"""Whether two notebooks hold the same code, whatever their outputs."""

from __future__ import annotations

from typing import Any

from manatee.errors import BundleError
from manatee.records import parse_json

MAX_EXECUTED_BYTES = 512 << 20
"""Largest executed notebook that is read, in bytes; its images make it large."""


def _code(notebook: Any) -> list[tuple[str, str]]:
    """Return type and source of every cell, in order; other shapes are refused."""
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise BundleError("not a notebook: it has no list of cells.")
    cells = []
    for cell in notebook["cells"]:
        if not isinstance(cell, dict) or not isinstance(cell.get("cell_type"), str):
            raise BundleError("not a notebook: a cell has no type.")
        source = cell.get("source", "")
        if isinstance(source, list) and all(isinstance(line, str) for line in source):
            source = "".join(source)
        if not isinstance(source, str):
            raise BundleError("not a notebook: a cell's source is not text.")
        cells.append((cell["cell_type"], source))
    return cells


def same_code(submitted: bytes, executed: bytes) -> bool:
    """Whether all cells have the same types and sources in the same order.

    Raises:
        BundleError: One of them is not a notebook.
        MalformedError: One of them is not strict JSON.
    """
    return _code(parse_json(submitted, max_bytes=MAX_EXECUTED_BYTES)) == _code(
        parse_json(executed, max_bytes=MAX_EXECUTED_BYTES)
    )
