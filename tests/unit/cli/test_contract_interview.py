"""`manatee contract draft --ask`: a provider who has never seen a contract answers questions."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from manatee.contracts import parse_contract

PEOPLE = {"id": [1, 2], "born": ["1990-01-01", "1991-01-01"], "town": ["Oslo", "SECRETVILLE"]}
STAYS = {"person": [1, 2], "cost": [1.5, 77777.25]}

ANSWERS = [
    *("identifier", "integer", "", "identifying"),  # people.id
    *("date", "1900-01-01", "2030-12-31", "n", ""),  # people.born
    *("category", "Oslo, Bergen, rest", "y", "quasi-identifying"),  # people.town
    *("identifier", "integer", "n", ""),  # stays.person
    *("perhaps", "decimal", "9", "0", "0", "100000", "2", "", "sensitive"),  # stays.cost
    *("person", "people", "id", "person", "12"),
]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    for name, columns in (("people", PEOPLE), ("stays", STAYS)):
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    return [str(tmp_path / f"{name}.parquet") for name in ("people", "stays")]


def draft(files: list[str], out: Path, answers: list[str]) -> tuple[int, str]:
    """Run the command at a terminal of its own; return its exit code and what the screen shows."""
    here, there = pty.openpty()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "manatee.cli", "contract", "draft", *files),
            *("--ask", "--name", "clinic", "--out", str(out)),
        ],
        stdin=there,
        stdout=there,
        stderr=there,
        close_fds=True,
    )
    os.close(there)
    os.write(here, "".join(f"{answer}\n" for answer in answers).encode())
    shown = b""
    while True:
        try:
            piece = os.read(here, 4096)
        except OSError:  # the other end is closed
            break
        shown += piece
        if not piece:
            break
    os.close(here)
    return process.wait(), shown.decode()


def test_answers_make_a_contract_and_no_value_is_read(files: list[str], tmp_path: Path) -> None:
    code, shown = draft(files, tmp_path / "contract.yaml", ANSWERS)
    assert code == 0, shown
    text = (tmp_path / "contract.yaml").read_bytes()
    contract = parse_contract(text)
    assert contract.privacy_unit.table == "people"
    people, stays = contract.tables
    assert people.key == ("id",)
    assert people.column("town").categories == ("Oslo", "Bergen", "rest")
    assert people.column("town").nullable
    assert people.column("id").sensitivity == "identifying"
    assert (stays.max_rows_per_person, stays.references[0].table) == (12, "people")
    assert (stays.column("cost").minimum, stays.column("cost").maximum) == (0, 100000)
    assert b"unreviewed" not in text
    for private in ("SECRETVILLE", "77777"):
        assert private.encode() not in text
        assert private not in shown


def test_a_wrong_answer_is_asked_for_again(files: list[str], tmp_path: Path) -> None:
    _, shown = draft(files, tmp_path / "contract.yaml", ANSWERS)
    assert "One of: integer, decimal" in shown
    assert "the first below the second" in shown


def test_breaking_off_writes_nothing(files: list[str], tmp_path: Path) -> None:
    code, _ = draft(files, tmp_path / "contract.yaml", [*ANSWERS[:5], "\x04"])
    assert code != 0
    assert not (tmp_path / "contract.yaml").exists()
