"""Whatever the kernel wrote, the output checks answer or refuse; nothing else gets out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manatee.errors import ManateeError
from manatee.outputs import DEFAULT_POLICY, check_outputs, clean_notebook, passed, strip_errors
from manatee.records import OutputFile

WORDS = [
    *("cells", "cell_type", "code", "markdown", "outputs", "output_type", "stream", "error"),
    *("execute_result", "display_data", "data", "metadata", "text", "name", "stdout", "ename"),
    *("text/plain", "text/html", "image/png", "application/json", "execution_count", "evalue"),
    *("traceback", "source", "kernelspec", "language_info", "manatee", "widgets", "transient"),
]
text = st.sampled_from(WORDS) | st.text(st.characters(), max_size=12)
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=10,
)


def some(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object with any of these members, each now and then of any other form."""
    return st.fixed_dictionaries(
        {}, optional={name: kind | anything for name, kind in members.items()}
    )


bundles = st.dictionaries(text, anything, max_size=3)
outputs = some(
    output_type=st.sampled_from(["stream", "error", "display_data", "execute_result"]),
    name=st.just("stdout"),
    text=text | st.lists(text, max_size=3),
    data=bundles,
    metadata=bundles,
    ename=text,
    evalue=text,
    traceback=st.lists(text, max_size=2),
    execution_count=st.integers(0, 3),
)
cells = some(
    cell_type=st.just("code"),
    outputs=st.lists(outputs | anything, max_size=3),
    metadata=bundles,
    source=text,
    execution_count=st.integers(0, 3),
)
notebooks = some(
    cells=st.lists(cells | anything, max_size=3), metadata=bundles, nbformat=st.just(4)
)
files = st.lists(
    st.builds(
        OutputFile,
        path=st.sampled_from(["a.csv", "a.json", "a.png", "a.txt", "x"]),
        data=st.binary(max_size=60) | text.map(lambda value: value.encode("utf-8", "replace")),
    ),
    max_size=2,
)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tables") / "t.arrow"
    table = pa.table({"a": [1.5, float("nan"), 3.25], "b": ["x", None, "code"], "c": [0, 1, 2]})
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)
    return path


def attempt(act: Callable[[], Any]) -> Any:
    try:
        return act()
    except ManateeError:
        return None


@settings(max_examples=400, deadline=None)
@given(book=notebooks | anything, given_files=files)
def test_hostile_notebooks_raise_only_our_errors(
    stored: Path, book: Any, given_files: list[OutputFile]
) -> None:
    def check(value: Any) -> Any:
        return check_outputs(
            notebook=value,
            files=tuple(given_files),
            declared=("a.csv",),
            policy=DEFAULT_POLICY,
            tables={"t": stored},
        )

    attempt(lambda: check(book))
    cleaned = attempt(lambda: clean_notebook(book))
    stripped = attempt(lambda: strip_errors(book if cleaned is None else cleaned))
    if stripped is not None:
        record = attempt(lambda: check(stripped))
        assert record is None or isinstance(passed(record), bool)
