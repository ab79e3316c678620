"""Drafts never slip private values into a contract; a diff says what happens to old twins."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from manatee.contracts import diff_contracts, draft_text, parse_contract
from manatee.errors import ContractError, TableError

ANSWERS = {"tables.people.columns.age.range": [0, 120], "tables.people.columns.town.max_length": 40}


@pytest.fixture
def people(tmp_path: Path) -> Path:
    path = tmp_path / "people.parquet"
    pq.write_table(pa.table({"age": [17, 93], "town": ["Oslo", None]}), path)
    return path


def test_by_default_no_value_is_read(people: Path) -> None:
    text = draft_text({"people": people}, {}, name="p")
    assert "17" not in text
    assert "Oslo" not in text
    with pytest.raises(ContractError, match="misses 'range'"):
        parse_contract(text.encode())


def test_a_csv_gives_only_its_header_by_default(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("age,town\n17,Oslo\n")
    text = draft_text({"people": path}, {}, name="p")
    assert "name: age" in text
    assert "type" not in text
    assert "Oslo" not in text


def test_answers_make_a_contract(people: Path) -> None:
    contract = parse_contract(draft_text({"people": people}, ANSWERS, name="p").encode())
    assert contract.only.column("age").maximum == 120


def test_what_was_read_is_refused_until_reviewed(people: Path) -> None:
    text = draft_text({"people": people}, {}, name="p", read_values=True)
    for place in ("age.range", "town.categories", "town.nullable", "town.type"):
        assert f"- tables.people.columns.{place}\n" in text
    with pytest.raises(ContractError, match="nobody has reviewed"):
        parse_contract(text.encode())
    reviewed = "\n".join(line for line in text.splitlines() if not line.startswith("- tables."))
    assert parse_contract(reviewed.replace("unreviewed:", "unreviewed: []").encode())


def test_an_answer_needs_no_review(people: Path) -> None:
    text = draft_text({"people": people}, ANSWERS, name="p", read_values=True)
    assert "- tables.people.columns.age.range" not in text
    assert "17" not in text


def test_an_answer_to_nothing_is_refused(people: Path) -> None:
    with pytest.raises(ContractError, match="names no place"):
        draft_text({"people": people}, {"tables.folk.columns.a.range": [0, 1]}, name="p")


def test_a_broken_file_is_not_quoted(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("a,b\n1,2\nsecret\n")
    with pytest.raises(TableError) as caught:
        draft_text({"people": path}, {}, name="p", read_values=True)
    assert "secret" not in str(caught.value)


def test_a_diff_tells_words_from_ranges(people: Path) -> None:
    text = draft_text({"people": people}, ANSWERS, name="p")
    old = parse_contract(text.encode())
    words = parse_contract(text.replace("label:", "description: new\nlabel:").encode())
    wider = parse_contract(text.replace("120", "130").encode())
    assert not diff_contracts(old, words).twins_stale
    found = diff_contracts(old, wider)
    assert found.twins_stale
    assert not found.schema_changed
    assert not found.version_raised
    assert [change.place for change in found.changes] == ["tables.people.columns.age.maximum"]
