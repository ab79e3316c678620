"""Removing from an executed notebook what never needs to leave, before it is checked."""

import builtins
import copy
from typing import Any

from manatee.errors import OutputCheckError
from manatee.outputs._subject import check_depth

KNOWN_ERRORS = frozenset(
    name
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
)
"""Python's own exception classes: the only names of errors that leave."""

_KERNELSPEC_MEMBERS = ("display_name", "language", "name")


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise OutputCheckError(f"the executed notebook is not one: {what} is not a JSON object.")
    return value


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise OutputCheckError(f"the executed notebook is not one: {what} is not a list.")
    return value


def _cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [_object(cell, "a cell") for cell in _list(notebook.get("cells"), "'cells'")]


def _outputs(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        _object(output, "an output")
        for cell in _cells(notebook)
        if cell.get("cell_type") == "code"
        for output in _list(cell.get("outputs"), "a code cell's 'outputs'")
    ]


def _copy(notebook: dict[str, Any]) -> dict[str, Any]:
    check_depth(notebook)
    return copy.deepcopy(notebook)


def drop_html(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return a copy without `text/html` wherever `text/plain` says the same beside it.

    Raises:
        OutputCheckError: It has not the form of a notebook.
    """
    cleaned = _copy(notebook)
    for output in _outputs(cleaned):
        data = _object(output.get("data", {}), "an output's 'data'")
        if "text/plain" in data:
            data.pop("text/html", None)
    return cleaned


def strip_errors(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return a copy whose errors have neither message nor traceback, and a known class only.

    A class the researcher's code defined becomes `Exception`: its name could carry data.

    Raises:
        OutputCheckError: It has not the form of a notebook.
    """
    cleaned = _copy(notebook)
    for output in _outputs(cleaned):
        if output.get("output_type") == "error":
            name = output.get("ename")
            known = isinstance(name, str) and name in KNOWN_ERRORS
            output["ename"] = name if known else "Exception"
            output["evalue"] = ""
            output["traceback"] = []
    return cleaned


def clean_notebook(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return a copy as it may be checked: no doubled HTML, and no metadata the kernel wrote.

    Times of execution, `language_info`, image sizes and widget state come from kernel messages.
    What the researcher wrote (sources, kernelspec, parameters) stays.

    Raises:
        OutputCheckError: It has not the form of a notebook.
    """
    cleaned = drop_html(notebook)
    metadata = _object(cleaned.get("metadata", {}), "its metadata")
    kept: dict[str, Any] = {"language_info": {"name": "python"}}
    if "kernelspec" in metadata:
        spec = _object(metadata["kernelspec"], "its kernelspec")
        kept["kernelspec"] = {key: spec[key] for key in _KERNELSPEC_MEMBERS if key in spec}
    if "manatee" in metadata:
        kept["manatee"] = metadata["manatee"]
    cleaned["metadata"] = kept
    for cell in _cells(cleaned):
        _object(cell.get("metadata", {}), "a cell's metadata").pop("execution", None)
    for output in _outputs(cleaned):
        if "metadata" in output:
            output["metadata"] = {}
        output.pop("transient", None)
    return cleaned
