"""What the checks look at: one run's notebook and files, and the tables it was given."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manatee.errors import OutputCheckError
from manatee.records import OutputCheck, OutputFile, OutputPolicy

MAX_DEPTH = 64
"""Deepest nesting of a notebook that is looked at; strict JSON allows its outputs 32."""

TEXT_FILE_TYPES = frozenset({".csv", ".json", ".md", ".txt"})


@dataclass(frozen=True)
class Subject:
    """One run's outputs. `tables` are Arrow IPC files, by data set name."""

    notebook: Mapping[str, Any]
    files: tuple[OutputFile, ...]
    declared: tuple[str, ...]
    policy: OutputPolicy
    tables: Mapping[str, Path]


@dataclass(frozen=True)
class CellOutput:
    """One output of a code cell; cells are counted from 1, code cells only."""

    cell: int
    output: Mapping[str, Any]


def check_depth(notebook: Any) -> None:
    """Refuse what could not even be walked through.

    Raises:
        OutputCheckError: It is no JSON object, or nested deeper than `MAX_DEPTH`.
    """
    if not isinstance(notebook, Mapping):
        raise OutputCheckError("the executed notebook is not a JSON object.")
    level: list[Any] = [notebook]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for value in level:
            if isinstance(value, Mapping):
                inner.extend(value.values())
            elif isinstance(value, list):
                inner.extend(value)
        level = inner
    if level:
        raise OutputCheckError(f"the executed notebook is nested deeper than {MAX_DEPTH}.")


def joined(text: Any) -> str:
    """Return notebook text, which may be one string or a list of lines, as one string."""
    return "".join(map(str, text)) if isinstance(text, list) else str(text)


def code_cells(subject: Subject) -> list[Mapping[str, Any]]:
    """Return the code cells in order."""
    cells = subject.notebook.get("cells")
    found = cells if isinstance(cells, list) else []
    return [cell for cell in found if isinstance(cell, dict) and cell.get("cell_type") == "code"]


def cell_outputs(subject: Subject) -> Iterator[CellOutput]:
    """Yield every output of every code cell."""
    for number, cell in enumerate(code_cells(subject), start=1):
        outputs = cell.get("outputs")
        for output in outputs if isinstance(outputs, list) else []:
            yield CellOutput(number, output if isinstance(output, dict) else {})


def mime_bundle(output: Mapping[str, Any]) -> dict[str, Any]:
    """Return MIME type to content; a stream counts as `text/plain`, an error has none."""
    if output.get("output_type") == "stream":
        return {"text/plain": output.get("text", "")}
    data = output.get("data", {})
    return data if isinstance(data, dict) else {}


def ending(path: str) -> str:
    """Return a file's ending in lower case, with the dot; empty if it has none."""
    name = path.rpartition("/")[2]
    return "." + name.rpartition(".")[2].lower() if "." in name.lstrip(".") else ""


def cell_text(mime: str, content: Any) -> str | None:
    """Return the text of one representation, or None for an image."""
    if mime.startswith("image/") and mime != "image/svg+xml":
        return None
    if isinstance(content, str) or (
        isinstance(content, list) and all(isinstance(line, str) for line in content)
    ):
        return joined(content)
    return json.dumps(content, ensure_ascii=False)


def check(name: str, title: str, problem: str = "", passed: str = "") -> OutputCheck:
    """Return one check's record: failed if there is a problem, with that as its reason.

    Reasons are said of outputs that stay, too. So they hold no size and no count that a run can
    choose: at most where the first problem is.
    """
    return OutputCheck(name=name, title=title, passed=not problem, reason=problem or passed)


def first_of(numbers: set[int] | list[int], what: str = "cell") -> str:
    """Return the first number for a reason, and whether there are more.

    Not all of them: which cells fail a check is the code's to choose, and reasons leave where
    outputs do not.
    """
    more = " and others" if len(set(numbers)) > 1 else ""
    return f"{what} {min(numbers)}{more}"
