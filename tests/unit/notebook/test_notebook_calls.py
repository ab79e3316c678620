"""What a notebook calls: data sets, parameters and results, or a clear error."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet
import pytest

import manatee
from manatee.errors import InputError, OutputCheckError, UnknownDatasetError
from manatee.notebook import SESSION_VARIABLE

TABLE = pa.table({"age": [19, 33], "smoker": ["yes", "no"]})


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A session with one Arrow data set, one Parquet data set and one empty one."""
    for name in ("sealed", "twin", "empty", "outputs"):
        (tmp_path / name).mkdir()
    with pa.ipc.new_file(tmp_path / "sealed" / "table.arrow", TABLE.schema) as writer:
        writer.write_table(TABLE)
    pyarrow.parquet.write_table(TABLE, tmp_path / "twin" / "table.parquet")
    path = tmp_path / "session.json"
    value: dict[str, Any] = {
        "datasets": {name: str(tmp_path / name) for name in ("sealed", "twin", "empty")},
        "parameters": {"depth": 3, "label": "x"},
        "outputs": str(tmp_path / "outputs"),
    }
    path.write_text(json.dumps(value))
    monkeypatch.setenv(SESSION_VARIABLE, str(path))
    return path


@pytest.mark.parametrize("name", ["sealed", "twin"])
def test_a_data_set_reads_the_same_from_arrow_and_from_parquet(session: Path, name: str) -> None:
    assert manatee.dataset(name).to_table().equals(TABLE)


@pytest.mark.usefixtures("session")
def test_an_unknown_data_set_names_those_there_are() -> None:
    with pytest.raises(UnknownDatasetError, match="no data set 'taxes'") as caught:
        manatee.dataset("taxes")
    assert "empty, sealed, twin" in caught.value.hint


@pytest.mark.usefixtures("session")
def test_a_data_set_without_files_is_an_error_not_an_empty_table() -> None:
    with pytest.raises(UnknownDatasetError, match="has no files"):
        manatee.dataset("empty")


@pytest.mark.usefixtures("session")
def test_parameters_are_a_copy() -> None:
    manatee.params()["depth"] = 99
    assert manatee.params() == {"depth": 3, "label": "x"}


CALLS = pytest.mark.parametrize(
    "call",
    [
        lambda: manatee.dataset("sealed"),
        manatee.params,
        lambda: manatee.publish("a.txt", "x"),
    ],
    ids=["dataset", "params", "publish"],
)


@CALLS
def test_without_a_session_each_call_says_how_to_get_one(
    call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(SESSION_VARIABLE, raising=False)
    with pytest.raises(InputError, match="no ManaTEE session") as caught:
        call()
    assert "manatee" in caught.value.hint


@CALLS
@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff", b"[]", b"3"])
def test_a_damaged_session_is_refused(
    call: Any, content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "session.json"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv(SESSION_VARIABLE, str(path))
    with pytest.raises(InputError, match="session"):
        call()


@pytest.mark.parametrize(
    "content",
    [
        {"datasets": [], "parameters": [], "outputs": 1},
        {"datasets": "sealed", "parameters": "x", "outputs": ""},
        {"datasets": {"sealed": 1}, "parameters": 3, "outputs": "relative"},
        {"datasets": {}, "parameters": None},
    ],
)
@CALLS
def test_a_session_with_wrong_members_is_refused_and_nothing_is_written(
    call: Any, content: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "session.json"
    path.write_text(json.dumps(content))
    monkeypatch.setenv(SESSION_VARIABLE, str(path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError):
        call()
    assert sorted(item.name for item in tmp_path.iterdir()) == ["session.json"]


def test_a_session_without_parameters_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "session.json").write_text("{}")
    monkeypatch.setenv(SESSION_VARIABLE, str(tmp_path / "session.json"))
    assert manatee.params() == {}


@pytest.mark.parametrize(
    ("name", "value", "written", "content"),
    [
        ("note", "plain é", "note.txt", "plain é".encode()),
        ("note.md", "# x", "note.md", b"# x"),
        ("raw", b"\x00\x01", "raw.bin", b"\x00\x01"),
        ("numbers", {"b": [1, 2.5, None, True], "a": "x"}, "numbers.json", None),
        ("table", TABLE, "table.csv", b'"age","smoker"\n19,"yes"\n33,"no"\n'),
        ("one", 3, "one.json", b"3\n"),
    ],
)
def test_publish_writes_the_form_that_fits(
    session: Path, name: str, value: object, written: str, content: bytes | None
) -> None:
    path = manatee.publish(name, value)
    assert path == session.parent / "outputs" / written
    if content is None:
        assert json.loads(path.read_bytes()) == value
    else:
        assert path.read_bytes() == content


class _Array:
    def tolist(self) -> list[float]:
        return [1.5, 2.5]


class _Figure:
    def savefig(self, target: Any, *, format: str, metadata: dict[str, Any]) -> None:
        target.write(json.dumps([format, metadata]).encode())


class _Frame:
    """Looks as a pandas table looks to `publish`."""

    def __init__(self, index: object) -> None:
        self.index = index

    def to_csv(self, *, index: bool) -> str:
        return f"index={index}\n"


class RangeIndex:
    """Named as pandas names an index that says nothing."""


@pytest.mark.usefixtures("session")
def test_arrays_become_json_and_figures_lose_their_metadata() -> None:
    assert json.loads(manatee.publish("a", {"x": _Array()}).read_bytes()) == {"x": [1.5, 2.5]}
    assert json.loads(manatee.publish("f", _Figure()).read_bytes()) == ["png", {"Software": None}]


@pytest.mark.usefixtures("session")
def test_a_tables_index_is_written_only_where_it_says_something() -> None:
    assert manatee.publish("a", _Frame(RangeIndex())).read_text() == "index=False\n"
    assert manatee.publish("b", _Frame(["f", "m"])).read_text() == "index=True\n"


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "a/b", "/etc/x", "../x", "a\\b", "a\nb", "a\x00", "\u202ex"]
)
def test_publish_writes_no_file_outside_its_folder(session: Path, name: str) -> None:
    before = sorted(session.parent.rglob("*"))
    with pytest.raises(OutputCheckError, match="plain file name"):
        manatee.publish(name, "x")
    assert sorted(session.parent.rglob("*")) == before


LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (float("nan"), "NaN"),
        ({"a": [float("inf")]}, "NaN, infinity"),
        (LOOP, "itself"),
        (object(), "type object has no JSON form"),
        ({"a": {1, 2}}, "type set has no JSON form"),
        ({(1, 2): 3}, "no JSON form"),
        ("\ud800", "no UTF-8 form"),
    ],
    ids=["nan", "inf", "loop", "object", "set", "tuple-key", "surrogate"],
)
def test_a_value_without_a_form_is_refused_and_nothing_is_written(
    session: Path, value: object, said: str
) -> None:
    with pytest.raises(OutputCheckError, match=said):
        manatee.publish("x", value)
    assert list((session.parent / "outputs").iterdir()) == []


def test_a_missing_output_folder_is_an_error_of_ours(session: Path) -> None:
    (session.parent / "outputs").rmdir()
    with pytest.raises(OutputCheckError, match="cannot be written"):
        manatee.publish("x", "y")


def test_importing_manatee_imports_no_data_library() -> None:
    program = (
        "import sys, manatee, manatee.notebook\n"
        "heavy = {'pyarrow', 'numpy', 'pandas', 'httpx', 'fastapi', 'rich', 'sqlalchemy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout.strip() == "[]"
