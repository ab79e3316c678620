"""Runs over several tables: synthesised together per person, treated by rows, or dummy."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from manatee.budgets import BudgetLedger
from manatee.cli._dataset_commands import columns
from manatee.cli._provider import BrokerAddress, prepared_folders, read_publication
from manatee.cli._seal import seal_tables
from manatee.contracts import arrow_schema
from manatee.errors import BudgetError
from manatee.keybroker import create_broker
from manatee.provisioning.runs import Desk, Outcome, make_order, provider_secret, provision

PERSONS = """
format: manatee-data-contract/2
name: clinic
label: synthetic
privacy_unit: {person: persons}
tables:
  - name: persons
    key: [id]
    columns:
      - {name: id, type: identifier, holds: integer}
      - {name: age, type: integer, range: [0, 99], bins: 10}
  - name: stays
    max_rows_per_person: 3
    references: [{columns: [person], table: persons}]
    columns:
      - {name: person, type: identifier, holds: integer}
      - {name: ward, type: category, categories: [north, south]}
"""
ROWS = """
format: manatee-data-contract/2
name: clinic
label: synthetic
privacy_unit: row
tables:
  - name: stays
    rows: public
    columns:
      - {name: age, type: integer, range: [0, 99], bins: 10}
      - {name: ward, type: category, categories: [north, south]}
"""


def run(folder: Path, contract: str, tables: str, given: dict[str, str], unit: str) -> Outcome:
    order = make_order(
        contract.encode(),
        f"format: manatee-provisioning-spec/1\ncontract: clinic\n{tables}".encode(),
    )
    where = {}
    for name, text in given.items():
        where[name] = folder / f"{name}.csv"
        where[name].write_text(text)
    ledger = BudgetLedger(folder / "budget.sqlite")
    ledger.set_limit("clinic", epsilon=3, delta=1e-6, unit="person" if unit == "person" else "row")
    desk = Desk(ledger, provider_secret(folder / "secret"))
    made = provision(order, where, folder / "out", desk=desk)
    for name in order.tables:
        schema = pq.read_schema(folder / "out" / "twin" / f"{name}.parquet")
        assert schema.equals(arrow_schema(order.contract.table(name)), check_metadata=True)
    assert not list((folder / "out").rglob("*.csv"))
    return made


def persons() -> dict[str, str]:
    ids = range(1, 201)
    stays = [f"{n},{('north', 'south')[n % 2]}" for n in ids for _ in range(n % 4)]
    return {
        "persons": "id,age\n" + "".join(f"{n},{20 + n % 60}\n" for n in ids),
        "stays": "person,ward\n" + "".join(f"{line}\n" for line in stays),
    }


TOGETHER = """
budget: {epsilon: 2, delta: 0.000001}
tables: {persons: {synthesis: {mechanism: mst}}, stays: {synthesis: {mechanism: mst}}}
"""


def test_persons_and_their_stays_are_one_release(tmp_path: Path) -> None:
    made = run(tmp_path, PERSONS, TOGETHER, persons(), "person")
    assert made.statement.privacy_unit == "one person with all of their rows"
    assert made.statement.budget is not None
    assert made.statement.budget.releases == 1
    keys = set(pq.read_table(made.folder / "twin" / "persons.parquet")["id"].to_pylist())
    refers = pq.read_table(made.folder / "twin" / "stays.parquet")["person"].to_pylist()
    assert set(refers) <= keys


def test_a_budget_per_row_does_not_pay_for_persons(tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match="per row, not per person"):
        run(tmp_path, PERSONS, TOGETHER, persons(), "row")


STAYS = {"stays": "age,ward\n" + "".join(f"{20 + n % 60},north\n" for n in range(300))}


def test_randomised_rows_are_charged_and_stated(tmp_path: Path) -> None:
    columns = "{age: {laplace: {epsilon: 0.2}}, ward: {suppress: {with: south}}}"
    made = run(tmp_path, ROWS, f"tables: {{stays: {{columns: {columns}}}}}\n", STAYS, "row")
    assert made.statement.rho == pytest.approx(0.02)
    assert [column.treatment for column in made.statement.tables[0].columns][1] == "suppress"


def test_kept_values_void_the_sum_and_the_statement_says_so(tmp_path: Path) -> None:
    spec = "tables: {stays: {columns: {age: {laplace: {epsilon: 1}}, ward: {keep: {}}}}}\n"
    made = run(tmp_path, ROWS, spec, STAYS, "row")
    assert made.statement.epsilon is None
    assert made.statement.budget is not None
    assert made.statement.budget.unbounded_releases == 1
    text = (made.folder / "statement.txt").read_text()
    assert "NO FORMAL GUARANTEE" in text
    assert "this sum bounds nothing" in text


def test_dummy_tables_read_nothing_and_cost_nothing(tmp_path: Path) -> None:
    made = run(tmp_path, ROWS, "tables: {stays: {dummy: {rows: 20}}}\n", {}, "row")
    assert (made.statement.epsilon, made.statement.measurements) == (0, ())
    assert "from the contract alone" in (made.folder / "statement.txt").read_text()


def test_each_table_is_sealed_whole_as_a_data_set_of_its_own(tmp_path: Path) -> None:
    given = persons()
    given["stays"] += "3,north\n" * 2  # five rows of one person: two are beyond the bound of three
    made = run(tmp_path, PERSONS, TOGETHER, given, "person")
    broker = create_broker(tmp_path / "broker", "b")
    folders = seal_tables(
        made.folder,
        {name: tmp_path / f"{name}.csv" for name in given},
        tmp_path / "prepared",
        provider="clinic",
        broker=BrokerAddress("b", "https://b.example", broker),
        secret=provider_secret(tmp_path / "secret"),
        progress=lambda _text: None,
    )
    assert prepared_folders(tmp_path / "prepared") == tuple(sorted(folders))
    found = [read_publication(folder) for folder in folders]
    assert [item.dataset.name for item in found] == ["clinic.persons", "clinic.stays"]
    for item in found:
        assert item.dataset.schema_digest == item.twin.schema_digest
    assert [row[0] for row in columns(found[1])] == ["person", "ward"]
