"""How commands answer: a table for people or JSON for machines on standard output.

JSON stands alone on standard output; progress and errors go to standard error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import msgspec

from manatee.errors import ManateeError, meaning


class Format(StrEnum):
    """Form of a command's answer."""

    TABLE = "table"
    JSON = "json"


def print_json(value: Any) -> None:
    """Print one JSON document and nothing else."""
    sys.stdout.write(json.dumps(msgspec.to_builtins(value), indent=2, sort_keys=True) + "\n")
    sys.stdout.flush()


def print_rows(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print a table: drawn on a terminal, tab-separated without ornament elsewhere."""
    if not sys.stdout.isatty():
        for row in (headings, *rows):
            sys.stdout.write("\t".join(row) + "\n")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*headings, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def fail(error: ManateeError, form: Format) -> int:
    """Report an error and return the process's exit code from the one table."""
    code = meaning(error).exit_code
    if form is Format.JSON:
        print_json({"error": {"code": error.code, "message": error.message, "hint": error.hint}})
    sys.stderr.write(f"manatee: {error.message}\n")
    if error.hint:
        sys.stderr.write(f"         {error.hint}\n")
    return code
