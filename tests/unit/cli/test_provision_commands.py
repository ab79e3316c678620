"""A provider makes a twin, seals it and looks at the budget, by commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer.testing

from manatee.cli._app import app
from manatee.cli._dataset_commands import columns, statement_text
from manatee.cli._provider import prepared_folders, read_publication
from manatee.errors import BudgetError, ConflictError, ManateeError, SettingsError

CONTRACT = """
format: manatee-data-contract/2
name: clinic
label: synthetic
privacy_unit: row
tables:
  - name: visits
    rows: public
    columns:
      - {name: age, type: integer, range: [0, 99], bins: 10}
      - {name: ward, type: category, categories: [north, south]}
"""
SPEC = """
format: manatee-provisioning-spec/1
contract: clinic
budget: {epsilon: 1, delta: 0.000001}
tables: {visits: {synthesis: {mechanism: mst}}}
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MANATEE_HOME", str(tmp_path / "home"))
    Path("c.yaml").write_text(CONTRACT)
    Path("s.yaml").write_text(SPEC)
    rows = [f"{20 + place % 60},{('north', 'south')[place % 2]}" for place in range(300)]
    Path("visits.csv").write_text("\n".join(["age,ward", *rows]) + "\n")
    return tmp_path


def manatee(*arguments: str) -> str:
    done = typer.testing.CliRunner().invoke(app, arguments)
    if isinstance(done.exception, ManateeError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def make_twin() -> dict[str, object]:
    told = manatee(
        "provision", "c.yaml", "s.yaml", "--table", "visits=visits.csv", "--out", "t", "-o", "json"
    )
    return json.loads(told)


def seal(recipient: str) -> str:
    broker = ["--broker-id", "b", "--broker-url", "https://b.example", "--broker-recipient"]
    table = ["--table", "visits.csv", "--out", "prepared", "--provider", "clinic"]
    return manatee("seal", "t", *table, *broker, recipient)


@pytest.fixture
def recipient(desk: Path) -> str:
    return manatee("keybroker", "init", "broker", "--id", "b").strip().splitlines()[-1]


def test_from_tables_to_a_prepared_data_set(desk: Path, recipient: str) -> None:
    with pytest.raises(BudgetError, match="no privacy budget"):
        make_twin()
    manatee("budget", "limit", "clinic", "--epsilon", "2", "--delta", "1e-6")
    made = make_twin()
    assert made["statement"]["epsilon"] == 1  # type: ignore[index]
    assert seal(recipient).strip() == "prepared"
    publication = read_publication(Path("prepared"))
    assert publication.dataset.name == "clinic"
    assert publication.dataset.schema_digest == publication.twin.schema_digest
    assert publication.privacy_statement["budget"]["limit_epsilon"] == 2
    assert [row[:3] for row in columns(publication)] == [
        ("age", "integer", "0 to 99"),
        ("ward", "category", "north, south"),
    ]
    assert "epsilon = 1 and" in statement_text(publication)
    assert (Path("prepared") / "report.html").exists()
    assert not (Path("prepared") / "provider-report.html").exists()
    shown = json.loads(manatee("budget", "show", "clinic", "-o", "json"))
    assert shown["datasets"][0]["releases"] == 1
    head = publication.privacy_statement["budget"]["ledger_head"]
    assert manatee("budget", "check", "--head", head).strip() == head


def test_other_tables_than_the_twins_are_not_sealed(desk: Path, recipient: str) -> None:
    manatee("budget", "limit", "clinic", "--epsilon", "2", "--delta", "1e-6")
    make_twin()
    Path("visits.csv").write_text("age,ward\n50,north\n")
    with pytest.raises(ConflictError, match="not the tables"):
        seal(recipient)
    assert not Path("prepared").exists()


def test_what_is_no_twin_is_not_sealed(desk: Path, recipient: str) -> None:
    Path("t").mkdir()
    with pytest.raises(ManateeError):
        seal(recipient)


@pytest.mark.parametrize(
    "tables",
    [["--table", "=visits.csv"], ["--table", "visits=a", "--table", "visits=b"]],
)
def test_tables_are_named_once(desk: Path, tables: list[str]) -> None:
    with pytest.raises(SettingsError, match="NAME=PATH"):
        manatee("provision", "c.yaml", "s.yaml", *tables, "--out", "t")


def test_prepared_folders_are_one_or_one_a_table(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        prepared_folders(tmp_path)
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "publication.json").touch()
    assert prepared_folders(tmp_path) == (tmp_path / "a", tmp_path / "b")
    assert prepared_folders(tmp_path / "a") == (tmp_path / "a",)


def test_membership_attacks_are_tried_for_the_providers_own_report(desk: Path) -> None:
    manatee("budget", "limit", "clinic", "--epsilon", "3", "--delta", "1e-6")
    make_twin()
    own = json.loads((desk / "t" / "provider-report.json").read_text())
    assert len(own["attacks"]) == 6
    assert "attacks" not in json.loads((desk / "t" / "report.json").read_text())


@pytest.mark.parametrize("number", ["1", "3"])
def test_too_few_twins_to_attack_are_refused_before_anything_is_spent(
    desk: Path, number: str
) -> None:
    manatee("budget", "limit", "clinic", "--epsilon", "3", "--delta", "1e-6")
    with pytest.raises(SettingsError, match="at least 4"):
        manatee(
            *("provision", "c.yaml", "s.yaml", "--table", "visits=visits.csv", "--out", "t"),
            *("--attack-twins", number),
        )
    assert "\t0\t" in manatee("budget", "show", "clinic")
