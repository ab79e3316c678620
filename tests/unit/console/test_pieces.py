"""What the console's pages are made of."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manatee.console._catalogue_pages import flat
from manatee.console._diff import compare_folders, compare_lines
from manatee.console._keys import OwnKeys
from manatee.console._notebooks import MAX_SHOWN_CHARACTERS, cells_of, picture_of
from manatee.console._pages import ConsoleContext
from manatee.console._sessions import Session, Sessions, check_form
from manatee.errors import (
    AuthenticationError,
    AuthorizationError,
    ManateeError,
    ServiceUnreachableError,
)

NAMES = st.sampled_from(["cells", "outputs", "data", "source", "text", "image/png"])
PNG = b"\x89PNG\r\n\x1a\n" + b"rest"


def notebook(*outputs: object, source: object = "1") -> bytes:
    cell = {"cell_type": "code", "source": source, "outputs": list(outputs)}
    return json.dumps({"cells": [cell]}).encode()


def test_outputs_are_text_or_pictures_and_never_markup() -> None:
    encoded = base64.b64encode(PNG).decode()
    (cell,) = cells_of(
        notebook(
            {"output_type": "stream", "text": ["<b>", "x"]},
            {"data": {"text/html": "<script>1</script>", "text/plain": "plain"}},
            {"data": {"text/html": "<script>1</script>"}},
            {"data": {"image/png": encoded}},
            {"data": {"image/png": "aGVsbG8="}, "output_type": "display_data"},
            {"data": {"image/svg+xml": "<svg onload='x'/>"}},
            {"data": {"application/json": {"a": 1}}},
            {"output_type": "error", "ename": "ValueError", "evalue": "secret"},
        )
    )
    texts = [shown.text for shown in cell.outputs]
    assert texts[:3] == ["<b>x", "plain", "an output of a kind that is not shown: text/html"]
    assert cell.outputs[3].picture == f"data:image/png;base64,{encoded}"
    assert texts[4] == "an output of a kind that is not shown: image/png"
    assert texts[5] == "an output of a kind that is not shown: image/svg+xml"
    assert json.loads(texts[6]) == {"a": 1}
    assert texts[7] == "error: ValueError"


def test_only_png_becomes_a_picture() -> None:
    assert picture_of("no base64!") == ""
    assert picture_of(base64.b64encode(b"<svg/>").decode()) == ""


def test_long_text_is_cut_and_that_is_said() -> None:
    (cell,) = cells_of(notebook(source="x" * (MAX_SHOWN_CHARACTERS + 1)))
    assert cell.source.endswith("the rest is not shown.")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["cells", "outputs", "data", "source", "text", "image/png"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_whatever_a_notebook_holds_only_our_errors_come_out(value: object) -> None:
    for document in (value, {"cells": value}, {"cells": [value]}):
        try:
            cells_of(json.dumps(document).encode())
        except ManateeError:
            pass


def test_one_changed_line_is_one_row_between_its_neighbours() -> None:
    before = [f"line {n}" for n in range(50)]
    after = [*before[:20], "line twenty", *before[21:]]
    diff = compare_lines("a.py", before, after)
    assert diff.state == "changed"
    changed = [row for row in diff.rows if row.kind != "same"]
    assert [(row.left, row.right, row.left_number) for row in changed] == [
        ("line 20", "line twenty", 21)
    ]
    assert len(diff.rows) == 7


def test_folders_are_compared_file_by_file(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for folder, files in (
        (old, {"same.py": "1", "gone.py": "2", "n.ipynb": notebook(source="a").decode()}),
        (new, {"same.py": "1", "new.bin": "\x00", "n.ipynb": notebook(source="b").decode()}),
    ):
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
    (new / "new.bin").write_bytes(b"\xff\xfe")
    found = {diff.path: diff.state for diff in compare_folders(old, new)}
    assert found == {
        "gone.py": "removed",
        "n.ipynb": "changed",
        "new.bin": "added",
        "same.py": "same",
    }
    assert all(diff.state == "added" for diff in compare_folders(None, new))


def test_a_start_code_works_once_and_an_empty_one_never() -> None:
    context = ConsoleContext(Sessions("http://127.0.0.1:9"), OwnKeys(), "", "secret")
    assert not context.take_start_code("wrong")
    assert context.take_start_code("secret")
    assert not context.take_start_code("secret")
    assert not context.take_start_code("")


def test_nobody_is_signed_in_while_the_service_is_away() -> None:
    sessions = Sessions("http://127.0.0.1:9")
    with pytest.raises(ServiceUnreachableError):
        sessions.begin("mnt_x")
    with pytest.raises(AuthenticationError):
        sessions.get("")


def test_a_form_needs_its_sessions_word() -> None:
    session = Session(None, None, "word", 0.0, 0.0)  # type: ignore[arg-type]
    check_form(session, {"csrf": "word"})
    for form in ({}, {"csrf": ""}, {"csrf": "other"}, {"csrf": "wörd"}):
        with pytest.raises(AuthorizationError):
            check_form(session, form)


def test_nested_statements_become_lines() -> None:
    assert flat({"a": {"b": 1}, "c": [1, 2], "d": [{"e": 3}]}) == [
        ("a › b", "1"),
        ("c", "1, 2"),
        ("d 1 › e", "3"),
    ]
