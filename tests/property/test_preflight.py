"""Pre-flight reads what strangers submitted: any notebook gets findings, none an exception."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from manatee.preflight import Preflight, preflight

KEYS = st.sampled_from(
    ["source", "cell_type", "execution_count", "metadata", "outputs", "id", "tags", "attachments"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
CODE = st.lists(
    st.sampled_from(
        [
            "import torch",
            "from . import x",
            "from .. import",
            "!pip install x",
            "%%bash",
            "%%",
            "%",
            "!",
            "?",
            "x = !ls",
            "if x:",
            "    import torch",
            "manatee.dataset('a')",
            "dataset(*['a'])",
            "open('../x'); time.time(); np.random.rand(3)",
            "manatee.dataset(name='b')",
            "open('https://x')",
            "f(**{'a': 'https://x'})",
            "(lambda: 1)().seed(1)",
            "x[0].now()",
            "await x",
            "match x:",
            "    case open('~'): pass",
            "try: pass",
            "except* E: pass",
            "'''",
            "\\",
            "f'{",
            "\ufeff",
            "\x0c",
        ]
    ),
    max_size=3,
).map("\n".join)
CELL = st.fixed_dictionaries(
    {
        "cell_type": st.just("code"),
        "source": CODE | st.lists(CODE, max_size=3),
        "metadata": st.just({}) | st.just({"tags": ["raises-exception"]}),
        "outputs": st.just([]),
        "execution_count": st.none() | st.integers(-3, 9),
    }
)
ODD_CELL = st.builds(lambda cell, more: cell | more, CELL, st.dictionaries(KEYS, JSON, max_size=2))


def notebook(cells: Any, metadata: Any) -> bytes:
    return json.dumps(
        {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}
    ).encode()


def good(metadata: Any) -> dict[str, Any]:
    kernel = {"kernelspec": {"name": "python3", "display_name": "x"}}
    return kernel | ({"manatee": metadata} if metadata is not None else {})


@given(cells=st.lists(CELL | ODD_CELL | JSON, max_size=3), metadata=st.none() | JSON)
def test_any_notebook_gets_findings(cells: Any, metadata: Any) -> None:
    found = preflight(notebook(cells, good(metadata)), modules={"os"}, granted=["a"])
    assert isinstance(found, Preflight)
    assert all(item.message and item.advice for item in found.findings if item.code != "notebook")


@given(cells=st.lists(CELL, min_size=1, max_size=5))
def test_every_place_that_is_named_is_there(cells: Any) -> None:
    found = preflight(notebook(cells, good(None)), modules={"os"}, granted=["a"])
    for item in found.findings:
        assert item.cell is None or 1 <= item.cell <= len(cells)
        assert item.line is None or item.line >= 1
