"""A notebook that cannot be run is refused before anybody plans a run, with what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from manatee.errors import NotebookError, UnknownParameterError, WorkspaceError
from manatee.workspace import (
    MAX_NOTEBOOK_BYTES,
    NotebookInfo,
    check_notebook,
    check_parameters,
    pack,
    read_notebook,
)


def notebook(**changed: Any) -> dict[str, Any]:
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {
            "kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"},
            "manatee": {"parameters": {"depth": 3, "rate": 0.5, "label": "x", "any": None}},
        },
        "cells": [
            {"cell_type": "markdown", "metadata": {}, "source": "# Title"},
            {"cell_type": "code", "metadata": {}, "source": ["x = 1\n", "x"], "outputs": []},
            {"cell_type": "code", "metadata": {}, "source": "", "outputs": [{}, {}]},
        ],
    } | changed


def check(value: Any) -> NotebookInfo:
    return check_notebook(json.dumps(value).encode())


def test_what_planning_needs_is_read() -> None:
    found = check(notebook())
    assert (found.code_cells, found.kernel, found.outputs) == (2, "python3", 2)
    assert found.parameters == {"depth": 3, "rate": 0.5, "label": "x", "any": None}


def with_metadata(**changed: Any) -> dict[str, Any]:
    return notebook(metadata=notebook()["metadata"] | changed)


def with_parameters(value: Any) -> dict[str, Any]:
    return with_metadata(manatee={"parameters": value})


def with_cell(cell: Any) -> dict[str, Any]:
    return notebook(cells=[cell])


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "not a JSON object"),
        ("x", "not a JSON object"),
        (notebook(nbformat=3), "not of format 4"),
        (notebook(nbformat="4"), "not of format 4"),
        (notebook(cells={}), "not of format 4"),
        (notebook(metadata=[]), "metadata is not a JSON object"),
        (notebook(metadata={}), "kernel is not python3"),
        (with_metadata(kernelspec={"name": "ir", "language": "R"}), "kernel is not python3"),
        (with_metadata(kernelspec={"name": "python3", "language": "R"}), "kernel is not python3"),
        (with_metadata(kernelspec="python3"), "kernelspec is not a JSON object"),
        (with_metadata(language_info={"name": "julia"}), "kernel is not python3"),
        (with_metadata(kernelspec={"name": ["python3"]}), "kernel is not python3"),
        (with_metadata(kernelspec={"name": "python3", "language": []}), "kernel is not python3"),
        (with_metadata(manatee=[]), "'manatee' is not a JSON object"),
        (with_parameters([1]), "list of parameters is not a JSON object"),
        (with_parameters({"1a": 1}), "not a name Python could use"),
        (with_parameters({"a b": 1}), "not a name Python could use"),
        (with_parameters({"a": [1]}), "is not text, a number"),
        (with_parameters({"a": {}}), "is not text, a number"),
        (with_parameters({f"p{i}": 1 for i in range(101)}), "more than 100 parameters"),
        (with_cell("x"), "cell 1 is not a JSON object"),
        (with_cell({"cell_type": "sql", "source": ""}), "cell 1 is not a notebook cell"),
        (with_cell({"cell_type": ["code"], "source": ""}), "cell 1 is not a notebook cell"),
        (with_cell({"cell_type": "code", "source": 3}), "cell 1 is not a notebook cell"),
        (with_cell({"cell_type": "code", "source": ""}), "no list of outputs"),
    ],
)
def test_a_notebook_of_another_shape_is_refused(value: Any, said: str) -> None:
    with pytest.raises(NotebookError, match=said):
        check(value)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b'{"a": NaN}', b'{"a": 1, "a": 2}', b"# %%"])
def test_a_notebook_that_is_not_strict_json_is_refused(data: bytes) -> None:
    with pytest.raises(NotebookError, match="cannot be read") as caught:
        check_notebook(data)
    assert "JupyterLab" in str(caught.value)


def test_a_notebook_full_of_saved_outputs_is_refused_with_the_way_out() -> None:
    with pytest.raises(NotebookError, match="Clear its outputs"):
        check_notebook(b" " * (MAX_NOTEBOOK_BYTES + 1))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "workspace"
    (root / "deep").mkdir(parents=True)
    (root / "deep" / "run.ipynb").write_text(json.dumps(notebook()))
    (root / "notes.txt").write_text("x")
    pack(root, tmp_path / "a.tar")
    return root


def test_the_entry_notebook_is_found_in_the_archive(folder: Path) -> None:
    assert read_notebook(folder.parent / "a.tar", "deep/run.ipynb").code_cells == 2


@pytest.mark.parametrize("entry", ["run.ipynb", "deep", "deep/", "../a.tar", "", "DEEP/run.ipynb"])
def test_a_missing_notebook_is_named(entry: str, folder: Path) -> None:
    with pytest.raises(NotebookError, match="there is no notebook"):
        read_notebook(folder.parent / "a.tar", entry)


def test_an_entry_that_is_no_notebook_is_refused(folder: Path) -> None:
    with pytest.raises(NotebookError, match="cannot be read"):
        read_notebook(folder.parent / "a.tar", "notes.txt")


def test_a_notebook_too_large_inside_the_archive_is_refused(folder: Path) -> None:
    (folder / "big.ipynb").write_bytes(b" " * (MAX_NOTEBOOK_BYTES + 1))
    pack(folder, folder.parent / "a.tar")
    with pytest.raises(NotebookError, match="Clear its outputs"):
        read_notebook(folder.parent / "a.tar", "big.ipynb")


def test_the_whole_archive_is_checked_even_behind_the_notebook(folder: Path) -> None:
    archive = folder.parent / "a.tar"
    archive.write_bytes(archive.read_bytes() + b"hidden")
    with pytest.raises(WorkspaceError, match="bytes after its end"):
        read_notebook(archive, "deep/run.ipynb")


DECLARED = {"depth": 3, "rate": 0.5, "label": "x", "flag": True, "any": None}


def test_given_values_replace_declared_ones() -> None:
    given = {"depth": 5, "rate": 1, "label": "", "flag": False, "any": "text"}
    assert check_parameters(DECLARED, given) == given
    assert check_parameters(DECLARED, {}) == DECLARED
    assert check_parameters(DECLARED, {"any": None})["any"] is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"dept": 3}, "declares no parameter 'dept'"),
        ({"depth": 3.5}, "depth must be a whole number, not a number"),
        ({"depth": True}, "depth must be a whole number, not true or false"),
        ({"depth": "3"}, "depth must be a whole number, not text"),
        ({"depth": None}, "depth must be a whole number, not null"),
        ({"rate": True}, "rate must be a number, not true or false"),
        ({"rate": "1"}, "rate must be a number, not text"),
        ({"label": 1}, "label must be text, not a whole number"),
        ({"flag": 1}, "flag must be true or false, not a whole number"),
    ],
)
def test_undeclared_and_mistyped_parameters_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UnknownParameterError, match=said):
        check_parameters(DECLARED, given)


def test_an_unknown_parameter_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownParameterError, match="any, depth, flag, label, rate"):
        check_parameters(DECLARED, {"x\x1b[2J": 1})
