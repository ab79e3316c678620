"""The executed notebook: the submitted one, with nothing of the kernel's but its outputs."""

from __future__ import annotations

import copy
import json
from typing import Any

from manatee.errors import MalformedError, OutputCheckError, TooLargeError
from manatee.records import parse_json

NOTEBOOK = "notebook.ipynb"
"""Name of the executed notebook among the outputs."""

_RICH = ("display_data", "execute_result")


def source_of(cell: dict[str, Any]) -> str:
    """Return a cell's source as one string."""
    source = cell["source"]
    return "".join(source) if isinstance(source, list) else str(source)


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the code cells of a notebook that `workspace.check_notebook` accepted."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def without_outputs(submitted: dict[str, Any]) -> dict[str, Any]:
    """Return a copy as a run starts: no output, no execution count."""
    notebook = copy.deepcopy(submitted)
    for cell in code_cells(notebook):
        cell["outputs"] = []
        cell["execution_count"] = None
    return notebook


def executed_notebook(
    submitted: dict[str, Any], text: str, *, max_bytes: int, cells_run: int
) -> dict[str, Any]:
    """Take over the outputs of a run.

    Args:
        submitted: The notebook as it was submitted.
        text: What the driver returned: the same notebook with outputs, JSON text, untrusted.
        max_bytes: Cap of that text, in bytes.
        cells_run: Code cells that were started; the others keep no output.

    Raises:
        OutputCheckError: It is not a notebook of exactly the submitted code cells, or holds
            outputs of no known form.
    """
    notebook = without_outputs(submitted)
    try:
        ran = parse_json(text.encode("utf-8", "replace"), max_bytes=max_bytes)
        cells = code_cells(ran)
        same = [source_of(cell) for cell in cells] == [source_of(c) for c in code_cells(notebook)]
        if not same:
            raise OutputCheckError("the executed notebook is not the submitted one.")
        for number, (cell, done) in enumerate(
            zip(code_cells(notebook), cells[:cells_run], strict=False), start=1
        ):
            cell["execution_count"] = number
            cell["outputs"] = [_output(output, number) for output in done["outputs"]]
    except (MalformedError, TooLargeError, KeyError, TypeError, AttributeError) as error:
        raise OutputCheckError("the executed notebook holds outputs of no known form.") from error
    return notebook


def _output(output: dict[str, Any], number: int) -> dict[str, Any]:
    """Return an output with the members its type has, and no metadata."""
    kind = output["output_type"]
    if kind == "stream":
        name = "stderr" if output["name"] == "stderr" else "stdout"
        return {"output_type": kind, "name": name, "text": _string(output["text"])}
    if kind == "error":
        return {
            "output_type": kind,
            "ename": _string(output["ename"]),
            "evalue": _string(output["evalue"]),
            "traceback": [_string(line) for line in output["traceback"]],
        }
    if kind not in _RICH or not isinstance(output["data"], dict):
        raise OutputCheckError("an output is of no known type.")
    rich = {"output_type": kind, "data": output["data"], "metadata": {}}
    return rich | {"execution_count": number} if kind == "execute_result" else rich


def _string(value: Any) -> str:
    return "".join(map(str, value)) if isinstance(value, list) else str(value)


def notebook_bytes(notebook: dict[str, Any]) -> bytes:
    """Return the notebook as a file, in Jupyter's own layout."""
    text = json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True)
    return (text + "\n").encode("utf-8", "replace")
