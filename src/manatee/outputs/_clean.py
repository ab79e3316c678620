"""Removing from an executed notebook what never needs to leave, before it is checked."""

import builtins
import copy
from typing import Any

_KNOWN_ERRORS = frozenset(
    name
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
)
_KERNELSPEC_MEMBERS = ("display_name", "language", "name")


def _outputs(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        output
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
        for output in cell["outputs"]
    ]


def drop_html(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return a copy without `text/html` wherever `text/plain` says the same beside it."""
    cleaned = copy.deepcopy(notebook)
    for output in _outputs(cleaned):
        data = output.get("data", {})
        if "text/plain" in data:
            data.pop("text/html", None)
    return cleaned


def strip_errors(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return a copy whose errors have neither message nor traceback, and a known class only.

    A class the researcher's code defined becomes `Exception`: its name could carry data.
    """
    cleaned = copy.deepcopy(notebook)
    for output in _outputs(cleaned):
        if output.get("output_type") == "error":
            name = output.get("ename")
            output["ename"] = name if name in _KNOWN_ERRORS else "Exception"
            output["evalue"] = ""
            output["traceback"] = []
    return cleaned


def clean_notebook(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return a copy as it may be checked: no doubled HTML, and no metadata the kernel wrote.

    Times of execution, `language_info`, image sizes and widget state come from kernel messages.
    What the researcher wrote (sources, kernelspec, parameters) stays.
    """
    cleaned = drop_html(notebook)
    metadata = cleaned.get("metadata", {})
    kept: dict[str, Any] = {"language_info": {"name": "python"}}
    if "kernelspec" in metadata:
        spec = metadata["kernelspec"]
        kept["kernelspec"] = {key: spec[key] for key in _KERNELSPEC_MEMBERS if key in spec}
    if "manatee" in metadata:
        kept["manatee"] = metadata["manatee"]
    cleaned["metadata"] = kept
    for cell in cleaned["cells"]:
        cell.get("metadata", {}).pop("execution", None)
    for output in _outputs(cleaned):
        if "metadata" in output:
            output["metadata"] = {}
        output.pop("transient", None)
    return cleaned
