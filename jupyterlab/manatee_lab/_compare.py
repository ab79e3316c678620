"""One notebook twice: which cells said something else."""

from __future__ import annotations

import re
from typing import Any

from manatee.errors import MalformedError
from manatee.records import parse_json

_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def compare(before: bytes, after: bytes) -> list[dict[str, Any]]:
    """Compare the code cells' outputs, as text, by their numbers.

    Raises:
        MalformedError: One of them is not a notebook.
    """
    twins, reals = _cells(before), _cells(after)
    rows = []
    for number in range(1, max(len(twins), len(reals)) + 1):
        source, twin = twins[number - 1] if number <= len(twins) else ("", "")
        other, real = reals[number - 1] if number <= len(reals) else ("", "")
        rows.append(
            {
                "number": number,
                "source": other or source,
                "changed": twin != real,
                "twin": twin,
                "real": real,
            }
        )
    return rows


def _cells(data: bytes) -> list[tuple[str, str]]:
    notebook = parse_json(data)
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise MalformedError("not a notebook of format 4.")
    return [
        (_text(cell.get("source")), "\n".join(_output(item) for item in cell.get("outputs", [])))
        for cell in cells
        if isinstance(cell, dict) and cell.get("cell_type") == "code"
    ]


def _output(output: Any) -> str:
    if not isinstance(output, dict):
        return ""
    data = output.get("data")
    if isinstance(data, dict):
        pictures = [kind for kind in data if str(kind).startswith("image/")]
        return _text(data.get("text/plain")) + "".join(f"\n[{kind}]" for kind in sorted(pictures))
    if output.get("output_type") == "error":
        return f"{output.get('ename', 'error')}: {_text(output.get('evalue'))}"
    return _text(output.get("text"))


def _text(value: Any) -> str:
    lines = value if isinstance(value, list) else [value if value is not None else ""]
    text = "".join(str(line) for line in lines)
    return _ESCAPES.sub("", text).encode(errors="replace").decode().rstrip()
