"""`manatee contract …` on files."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from manatee.cli._app import app
from manatee.errors import ContractError

ANSWERS = "tables.people.columns.age.range: [0, 120]\n"


@pytest.fixture
def drafted(tmp_path: Path) -> Path:
    pq.write_table(pa.table({"age": [17, 93]}), tmp_path / "people.parquet")
    (tmp_path / "answers.yaml").write_text(ANSWERS)
    run("draft", tmp_path / "people.parquet", "--answers", tmp_path / "answers.yaml", "--out",
        tmp_path / "c.yaml")  # fmt: skip
    return tmp_path / "c.yaml"


def run(*arguments: object) -> str:
    found = CliRunner().invoke(app, ["contract", *map(str, arguments)])
    if found.exception is not None:
        raise found.exception
    return found.stdout


def test_an_answered_draft_checks_and_shows(drafted: Path) -> None:
    assert "sha256:" in run("check", drafted)
    assert "0 to 120" in run("show", drafted)
    assert drafted.stat().st_mode & 0o077 == 0


def test_a_draft_overwrites_nothing(drafted: Path) -> None:
    with pytest.raises(ContractError, match="already there"):
        run("draft", drafted.parent / "people.parquet", "--out", drafted)


def test_a_diff_says_that_old_twins_are_stale(drafted: Path) -> None:
    wider = drafted.with_name("wider.yaml")
    wider.write_text(drafted.read_text().replace("120", "130"))
    answer = run("diff", drafted, wider)
    assert "no longer stand" in answer
    assert "higher version" in answer
    assert "still stand" in run("diff", drafted, drafted)
