"""What a notebook must be before anybody plans a run of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from manatee.errors import MalformedError, NotebookError, TooLargeError
from manatee.records import Scalar, parse_json
from manatee.workspace._limits import MAX_NOTEBOOK_BYTES
from manatee.workspace._members import open_archive
from manatee.workspace._names import printable

KERNEL = "python3"
"""The one kernel there is; every runtime has it."""

MAX_PARAMETERS = 100

_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_CELL_TYPES = frozenset({"code", "markdown", "raw"})


@dataclass(frozen=True)
class NotebookInfo:
    """What planning needs to know of a notebook.

    Attributes:
        code_cells: Number of code cells.
        kernel: Always `python3`.
        parameters: Declared parameters and their defaults (`metadata.manatee.parameters`).
        outputs: Number of outputs saved in the notebook; a run starts without them.
    """

    code_cells: int
    kernel: str
    parameters: dict[str, Scalar] = field(default_factory=dict)
    outputs: int = 0


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise NotebookError(f"{what} is not a JSON object.", hint="Save the notebook again.")
    return value


def _check_kernel(metadata: Mapping[str, Any]) -> None:
    spec = _mapping(metadata.get("kernelspec", {}), "the notebook's kernelspec")
    info = _mapping(metadata.get("language_info", {}), "the notebook's language_info")
    languages = [spec.get("language", "python"), info.get("name", "python")]
    if spec.get("name") != KERNEL or languages != ["python", "python"]:
        raise NotebookError(
            f"the notebook's kernel is not {KERNEL}.",
            hint="Choose the kernel 'Python 3' in JupyterLab and save the notebook.",
        )


def _parameters(metadata: Mapping[str, Any]) -> dict[str, Scalar]:
    own = _mapping(metadata.get("manatee", {}), "the notebook's metadata 'manatee'")
    declared = _mapping(own.get("parameters", {}), "the notebook's list of parameters")
    if len(declared) > MAX_PARAMETERS:
        raise NotebookError(f"the notebook declares more than {MAX_PARAMETERS} parameters.")
    for name, value in declared.items():
        if not _PARAMETER.fullmatch(name):
            raise NotebookError(
                f"the parameter {printable(name)} is not a name Python could use.",
                hint="Use letters, digits and underscores.",
            )
        if not isinstance(value, str | int | float | bool | None):
            raise NotebookError(
                f"the default of parameter {name} is not text, a number, true, false or null."
            )
    return dict(declared)


def _check_cell(number: int, cell: Any) -> tuple[bool, int]:
    """Return whether the cell is a code cell, and how many outputs are saved in it."""
    found = _mapping(cell, f"cell {number}")
    kind = found.get("cell_type")
    source = found.get("source")
    lines = source if isinstance(source, list) else [source]
    known = isinstance(kind, str) and kind in _CELL_TYPES
    if not known or not all(isinstance(line, str) for line in lines):
        raise NotebookError(
            f"cell {number} is not a notebook cell of format 4.", hint="Save the notebook again."
        )
    if kind != "code":
        return False, 0
    outputs = found.get("outputs")
    if not isinstance(outputs, list):
        raise NotebookError(f"code cell {number} has no list of outputs.")
    return True, len(outputs)


def check_notebook(data: bytes) -> NotebookInfo:
    """Read a notebook and refuse one that cannot be run.

    Args:
        data: The bytes of an `.ipynb` file.

    Raises:
        NotebookError: Too large, not strict JSON, not notebook format 4, or of another kernel
            than `python3`. The message says what to do.
    """
    if len(data) > MAX_NOTEBOOK_BYTES:
        raise NotebookError(
            f"the notebook has {len(data)} bytes; at most {MAX_NOTEBOOK_BYTES} are allowed.",
            hint="Clear its outputs and save it.",
        )
    try:
        notebook = parse_json(data, max_bytes=MAX_NOTEBOOK_BYTES)
    except (MalformedError, TooLargeError) as error:
        raise NotebookError(
            f"the notebook cannot be read: {error}", hint="Open it in JupyterLab and save it."
        ) from error
    notebook = _mapping(notebook, "the notebook")
    cells = notebook.get("cells")
    if notebook.get("nbformat") != 4 or not isinstance(cells, list):
        raise NotebookError(
            "the notebook is not of format 4.", hint="Open it in JupyterLab and save it."
        )
    metadata = _mapping(notebook.get("metadata", {}), "the notebook's metadata")
    _check_kernel(metadata)
    counted = [_check_cell(number, cell) for number, cell in enumerate(cells, start=1)]
    return NotebookInfo(
        code_cells=sum(is_code for is_code, _ in counted),
        kernel=KERNEL,
        parameters=_parameters(metadata),
        outputs=sum(outputs for _, outputs in counted),
    )


@dataclass(frozen=True)
class EntryNotebook:
    """The bytes of the entry notebook of a workspace, and the modules that lie beside it."""

    data: bytes
    modules: frozenset[str]


def read_entry(archive: Path, entry: str) -> EntryNotebook:
    """Take the entry notebook out of a packed workspace, unchecked.

    Args:
        archive: What `pack` wrote. The whole archive is read and checked on the way.
        entry: The notebook's path inside the workspace.

    Raises:
        NotebookError: There is no such notebook, or it is too large.
        WorkspaceError: The archive is not one that `pack` writes.
    """
    data: bytes | None = None
    modules: set[str] = set()
    with open_archive(archive) as reader:
        for member in reader.members():
            first, _, rest = member.name.partition("/")
            if rest or member.folder or first.endswith(".py"):
                modules.add(first.removesuffix(".py"))
            if member.name != entry or member.folder:
                continue
            if member.size > MAX_NOTEBOOK_BYTES:
                raise NotebookError(
                    f"the notebook has {member.size} bytes; at most {MAX_NOTEBOOK_BYTES} are "
                    "allowed.",
                    hint="Clear its outputs and save it.",
                )
            data = b"".join(member.chunks())
    if data is None:
        raise NotebookError(
            f"there is no notebook {printable(entry)} in the workspace.",
            hint="Give its path below the workspace folder, with / between the parts.",
        )
    return EntryNotebook(data, frozenset(modules))


def read_notebook(archive: Path, entry: str) -> NotebookInfo:
    """Check the entry notebook inside a packed workspace.

    Args:
        archive: What `pack` wrote. The whole archive is read and checked on the way.
        entry: The notebook's path inside the workspace.

    Raises:
        NotebookError: There is no such notebook, or `check_notebook` refuses it.
        WorkspaceError: The archive is not one that `pack` writes.
    """
    return check_notebook(read_entry(archive, entry).data)
