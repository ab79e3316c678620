"""Pre-flight of one notebook."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from manatee.errors import ManateeError
from manatee.preflight._cells import MAX_CODE, Cell, read_cell
from manatee.preflight._findings import Finding, Severity
from manatee.preflight._rules import Surroundings, datasets_in, look, sets_a_seed
from manatee.records import Scalar, parse_json
from manatee.workspace import MAX_NOTEBOOK_BYTES, check_notebook

MAX_CELLS = 1_000
"""Code cells that are looked at."""

_ORDER: Mapping[Severity, int] = {"error": 0, "warning": 1, "hint": 2}


@dataclass(frozen=True)
class Preflight:
    """What was found in a notebook, worst first, and what it uses."""

    findings: tuple[Finding, ...]
    datasets: tuple[str, ...] = ()
    parameters: Mapping[str, Scalar] | None = None
    n_cells: int = 0

    @property
    def ready(self) -> bool:
        """Whether nothing was found that must stop it."""
        return all(item.severity != "error" for item in self.findings)


def preflight(
    notebook: bytes,
    *,
    modules: Collection[str] | None = None,
    own: Collection[str] = (),
    granted: Collection[str] | None = None,
) -> Preflight:
    """Look at a notebook without running any of it.

    Args:
        notebook: The bytes of an `.ipynb` file.
        modules: What can be imported in the runtime; None: not known.
        own: Modules beside the notebook.
        granted: Data sets that the researcher sees; None: not known.
    """
    try:
        info = check_notebook(notebook)
    except ManateeError as error:
        return Preflight((Finding("error", "notebook", error.message, error.hint),))
    found = parse_json(notebook, max_bytes=MAX_NOTEBOOK_BYTES)
    code = [cell for cell in found["cells"] if cell["cell_type"] == "code"]
    cells = [read_cell(number, cell) for number, cell in enumerate(code[:MAX_CELLS], start=1)]
    around = Surroundings(
        None if modules is None else frozenset(modules),
        frozenset(own),
        None if granted is None else frozenset(granted),
    )
    findings = [*_order(cells), *_syntax(cells), *_code(cells, around)]
    forgiven = {number for number, cell in enumerate(code, start=1) if _may_fail(cell)}
    findings = [
        replace(item, severity="warning")
        if item.cell in forgiven and item.severity == "error"
        else item
        for item in findings
    ]
    findings.sort(key=lambda item: (_ORDER[item.severity], item.cell or 0, item.line or 0))
    names = (name for cell in cells if cell.tree for name in datasets_in(cell.tree))
    return Preflight(
        tuple(findings), tuple(dict.fromkeys(names)), dict(info.parameters), info.code_cells
    )


def _may_fail(cell: Mapping[str, Any]) -> bool:
    """Return whether a run goes on after an exception of this cell, by a tag of Jupyter's."""
    metadata = cell.get("metadata")
    tags = metadata.get("tags") if isinstance(metadata, dict) else None
    return isinstance(tags, list) and "raises-exception" in tags


def _order(cells: Iterable[Cell]) -> Iterator[Finding]:
    """Say which cells were not run, or not in their order: their outputs may be stale."""
    counts = [cell.ran for cell in cells]
    if counts and all(count is None for count in counts):
        yield Finding(
            "hint",
            "not-run",
            "No cell was run on the twin.",
            "Run all cells, or `manatee rehearse`: a mistake costs an approval otherwise.",
        )
        return
    last = 0
    for cell in cells:
        if cell.ran is None:
            yield Finding(
                "warning",
                "not-run",
                "This cell was not run on the twin.",
                "Run all cells from the top once more.",
                cell.number,
            )
        elif cell.ran < last:
            yield Finding(
                "warning",
                "order",
                "This cell was run before one that stands above it.",
                "Restart the kernel and run all cells: there they run from top to bottom.",
                cell.number,
            )
        else:
            last = cell.ran


def _syntax(cells: Iterable[Cell]) -> Iterator[Finding]:
    for cell in cells:
        if cell.too_long:
            yield Finding(
                "hint",
                "too-long",
                f"The cell has more than {MAX_CODE} characters and was not looked at.",
                "Put data into files beside the notebook.",
                cell.number,
            )
        if cell.problem is not None:
            message, line = cell.problem
            yield Finding(
                "error", "syntax", f"Not Python: {message}.", "Mend it.", cell.number, line
            )
        for line in cell.installs:
            yield Finding(
                "error",
                "install",
                "Nothing can be installed: the runtime is locked, and there is no network.",
                "Use what the runtime has, or ask for another runtime.",
                cell.number,
                line,
            )
        for line in cell.shell:
            yield Finding(
                "warning",
                "shell",
                "A shell command: the guest has few programs and no network.",
                "Do it in Python.",
                cell.number,
                line,
            )


def _code(cells: Iterable[Cell], around: Surroundings) -> Iterator[Finding]:
    seeded = False
    for cell in cells:
        if cell.tree is None:
            continue
        seeded = seeded or sets_a_seed(cell.tree)
        for finding in look(cell.tree, cell.number, around):
            if not (seeded and finding.code == "random"):
                yield finding
