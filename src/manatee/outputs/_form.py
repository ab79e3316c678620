"""The executed notebook holds what a notebook holds, and nothing the kernel could smuggle.

The kernel chooses more than the visible output: execution numbers, output metadata, times,
`language_info` and widget state all come from its messages and would leave with the file.
"""

from collections.abc import Mapping
from typing import Any

from manatee.errors import ManateeError
from manatee.outputs._clean import KNOWN_ERRORS
from manatee.outputs._subject import Subject, cell_outputs, check, code_cells, first_of
from manatee.records import OutputCheck

_NOTEBOOK_MEMBERS = frozenset({"cells", "metadata", "nbformat", "nbformat_minor"})
_METADATA_MEMBERS = frozenset({"kernelspec", "language_info", "manatee"})
_CELL_MEMBERS = {
    "code": frozenset({"cell_type", "execution_count", "id", "metadata", "outputs", "source"}),
    "markdown": frozenset({"attachments", "cell_type", "id", "metadata", "source"}),
    "raw": frozenset({"attachments", "cell_type", "id", "metadata", "source"}),
}
_OUTPUT_MEMBERS = {
    "stream": frozenset({"output_type", "name", "text"}),
    "display_data": frozenset({"output_type", "data", "metadata"}),
    "execute_result": frozenset({"output_type", "data", "metadata", "execution_count"}),
    "error": frozenset({"output_type", "ename", "evalue", "traceback"}),
}
_STREAMS = ("stdout", "stderr")
_HARMLESS_METADATA: tuple[Mapping[str, Any], ...] = ({}, {"needs_background": "light"})


def _count_fits(value: Any, cells: int) -> bool:
    return value is None or (type(value) is int and 1 <= value <= cells)


def _output_fits(output: Mapping[str, Any], cells: int) -> bool:
    kind = output.get("output_type")
    if not isinstance(kind, str) or kind not in _OUTPUT_MEMBERS:
        return False
    if not output.keys() <= _OUTPUT_MEMBERS[kind]:
        return False
    if kind == "stream":
        return output.get("name") in _STREAMS
    if kind == "error":
        return True
    return (
        isinstance(output.get("data"), dict)
        and output.get("metadata", {}) in _HARMLESS_METADATA
        and _count_fits(output.get("execution_count"), cells)
    )


def _cell_fits(cell: Mapping[str, Any], cells: int) -> bool:
    metadata = cell.get("metadata", {})
    return (
        cell.keys() <= _CELL_MEMBERS["code"]
        and isinstance(cell.get("outputs"), list)
        and isinstance(metadata, dict)
        and "execution" not in metadata
        and _count_fits(cell.get("execution_count"), cells)
    )


def _known_cell(cell: Any) -> bool:
    """Whether it is a cell of a known type; only code cells may have outputs."""
    kind = cell.get("cell_type") if isinstance(cell, dict) else None
    return isinstance(kind, str) and kind in _CELL_MEMBERS and cell.keys() <= _CELL_MEMBERS[kind]


def notebook_form(subject: Subject) -> OutputCheck:
    """Refuse members, metadata and execution numbers beyond the few a run needs."""
    cells = code_cells(subject)
    wrong = {
        number for number, cell in enumerate(cells, start=1) if not _cell_fits(cell, len(cells))
    }
    wrong |= {
        item.cell for item in cell_outputs(subject) if not _output_fits(item.output, len(cells))
    }
    problem = f"Unexpected members, numbers or metadata in {first_of(wrong)}." if wrong else ""
    metadata = subject.notebook.get("metadata", {})
    every = subject.notebook.get("cells")
    if not subject.notebook.keys() <= _NOTEBOOK_MEMBERS or not isinstance(every, list):
        problem = "The notebook has unexpected members."
    elif not problem and not all(_known_cell(cell) for cell in every):
        problem = "The notebook has cells of no known form."
    elif not isinstance(metadata, dict) or not metadata.keys() <= _METADATA_MEMBERS:
        problem = "The notebook's metadata has unexpected members."
    elif metadata.get("language_info", {"name": "python"}) != {"name": "python"}:
        problem = "The notebook's language_info holds what the kernel wrote."
    return check("notebook-form", "The notebook is plain", problem, f"{len(cells)} code cells.")


def no_tracebacks(subject: Subject) -> OutputCheck:
    """Refuse error texts: messages and tracebacks quote values, and class names could."""
    cells = {
        item.cell
        for item in cell_outputs(subject)
        if item.output.get("output_type") == "error"
        and (
            item.output.get("evalue")
            or item.output.get("traceback")
            or item.output.get("ename") not in tuple(KNOWN_ERRORS)
        )
    }
    problem = f"An error's text or own class is in {first_of(cells)}." if cells else ""
    return check("no-tracebacks", "No error texts", problem, "None.")


def unreadable(name: str, title: str, error: ManateeError) -> OutputCheck:
    """Return the failed check for a subject that could not be checked."""
    return check(name, title, f"The check could not be carried out ({error.code}).")
