"""The executed notebook is the submitted one; the kernel adds outputs and nothing else."""

import json
from typing import Any

import pytest

from manatee.errors import OutputCheckError
from manatee.executor._notebook import executed_notebook, notebook_bytes

MAX = 10_000


def notebook(*sources: str, **outputs: Any) -> dict[str, Any]:
    cells = [
        {"cell_type": "code", "source": source, "metadata": {}, "outputs": [], "id": f"c{n}"}
        for n, source in enumerate(sources)
    ]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5, **outputs}


def test_outputs_are_taken_over_without_metadata_or_counts_of_the_kernels() -> None:
    ran = notebook("1", "2")
    ran["metadata"]["secret"] = "x"
    ran["cells"][0] |= {
        "execution_count": 1234,
        "metadata": {"secret": 1},
        "outputs": [
            {
                "output_type": "execute_result",
                "execution_count": 777,
                "data": {"text/plain": "1"},
                "metadata": {"secret": 1},
                "secret": 1,
            }
        ],
    }
    taken = executed_notebook(notebook("1", "2"), json.dumps(ran), max_bytes=MAX, cells_run=2)
    assert taken["cells"][0]["outputs"] == [
        {
            "output_type": "execute_result",
            "data": {"text/plain": "1"},
            "metadata": {},
            "execution_count": 1,
        }
    ]
    assert [cell["execution_count"] for cell in taken["cells"]] == [1, 2]
    assert b"secret" not in notebook_bytes(taken)


def test_a_changed_source_is_refused() -> None:
    with pytest.raises(OutputCheckError, match="not the submitted"):
        executed_notebook(notebook("1"), json.dumps(notebook("2")), max_bytes=MAX, cells_run=1)


def test_an_added_cell_is_refused() -> None:
    with pytest.raises(OutputCheckError, match="not the submitted"):
        executed_notebook(notebook("1"), json.dumps(notebook("1", "2")), max_bytes=MAX, cells_run=1)


def test_a_cell_that_did_not_run_keeps_no_output() -> None:
    ran = notebook("1", "2")
    ran["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x"}]
    taken = executed_notebook(notebook("1", "2"), json.dumps(ran), max_bytes=MAX, cells_run=1)
    assert taken["cells"][1]["outputs"] == []


@pytest.mark.parametrize(
    "output",
    [
        {"output_type": "widget"},
        {"output_type": "stream"},
        {"output_type": "display_data", "data": "text"},
        {},
        "text",
    ],
)
def test_an_output_of_no_known_form_is_refused(output: Any) -> None:
    ran = notebook("1")
    ran["cells"][0]["outputs"] = [output]
    with pytest.raises(OutputCheckError):
        executed_notebook(notebook("1"), json.dumps(ran), max_bytes=MAX, cells_run=1)


def test_a_notebook_over_the_cap_is_refused() -> None:
    with pytest.raises(OutputCheckError):
        executed_notebook(
            notebook("1"), json.dumps(notebook("1")) + " " * MAX, max_bytes=MAX, cells_run=1
        )
