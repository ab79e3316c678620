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


RULED = """
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
    rows: public
    key: [day]
    max_rows_per_person: 3
    references: [{columns: [person], table: persons}]
    constraints: [{name: north_is_cheap, given: ward == "north", check: cost < 50}]
    columns:
      - {name: day, type: integer, range: [0, 199], bins: 10}
      - {name: person, type: identifier, holds: integer, nullable: true}
      - {name: ward, type: category, categories: [north, south]}
      - {name: cost, type: integer, range: [0, 99], bins: 10}
"""


def test_treated_rows_that_break_a_rule_are_counted_and_stated_not_refused(tmp_path: Path) -> None:
    stays = [
        f"{n},{n % 60 + 1},{'north' if n % 2 else 'south'},{10 if n % 2 else 90}"
        for n in range(180)
    ]
    given = {
        "persons": "id,age\n" + "".join(f"{n},30\n" for n in range(1, 61)),
        "stays": "day,person,ward,cost\n" + "".join(f"{line}\n" for line in stays),
    }
    columns = (
        "day: {suppress: {with: 5}}, person: {suppress: {}}, ward: {randomise: {epsilon: 0.3}}"
    )
    spec = f"tables: {{stays: {{columns: {{{columns}, cost: {{laplace: {{epsilon: 0.3}}}}}}}}}}\n"
    made = run(tmp_path, RULED, spec, given, "person")
    twin = pq.read_table(made.folder / "twin" / "stays.parquet")
    pairs = zip(twin["ward"].to_pylist(), twin["cost"].to_pylist(), strict=True)
    broken = sum(ward == "north" and cost >= 50 for ward, cost in pairs)
    assert broken > 0  # about 45 of 180; none: one time in 10**22
    (table,) = made.statement.tables
    assert table.broken == {"constraint north_is_cheap": broken, "key is unique": 179}
    text = (made.folder / "statement.txt").read_text()
    assert f"not kept: constraint north_is_cheap, in {broken} of the released rows" in text
    assert made.statement.local_epsilon == pytest.approx(0.6)
    assert "all values in the rows of one person changed" in text


@pytest.mark.parametrize(("delta", "warned"), [("0.0009", True), ("0.000001", False)])
def test_a_delta_too_large_for_a_public_number_of_rows_is_warned_of(
    tmp_path: Path, delta: str, warned: bool
) -> None:
    given = {"stays": "age,ward\n" + "".join(f"{20 + n % 60},north\n" for n in range(2000))}
    spec = f"""
budget: {{epsilon: 1, delta: {delta}}}
tables: {{stays: {{synthesis: {{mechanism: mst, rows: 50}}}}}}
"""
    made = run(tmp_path, ROWS, spec, given, "row")
    assert pq.read_metadata(made.folder / "twin" / "stays.parquet").num_rows == 50
    assert bool(made.statement.warnings) == warned
    if warned:
        assert "(2000, as everyone may know)" in made.statement.warnings[0]
        assert "WARNING: delta = 0.0009" in (made.folder / "statement.txt").read_text()


def test_treated_rows_do_not_keep_the_order_of_a_sorted_table(tmp_path: Path) -> None:
    given = {"stays": "age,ward\n" + "".join(f"{n // 10},north\n" for n in range(1000))}
    spec = "tables: {stays: {columns: {age: {keep: {}}, ward: {randomise: {epsilon: 1}}}}}\n"
    made = run(tmp_path, ROWS, spec, given, "row")
    ages = pq.read_table(made.folder / "twin" / "stays.parquet")["age"].to_pylist()
    assert sorted(ages) == [n // 10 for n in range(1000)]
    first, last = ages[:500], ages[500:]
    # halves of a random order differ by chance with a deviation of 1.8: 7 of them, 3e-12
    assert abs(sum(first) / 500 - sum(last) / 500) < 7 * 1.83


TWO = (
    ROWS
    + """
  - name: visits
    rows: public
    columns:
      - {name: paid, type: boolean}
"""
)


def test_a_model_and_randomised_rows_in_one_twin_are_added_up_and_told_apart(
    tmp_path: Path,
) -> None:
    given = {**STAYS, "visits": "paid\n" + "true\nfalse\n" * 100}
    spec = """
budget: {epsilon: 1, delta: 0.000001}
tables:
  stays: {synthesis: {mechanism: mst}}
  visits: {columns: {paid: {randomise: {epsilon: 0.5}}}}
"""
    made = run(tmp_path, TWO, spec, given, "row")
    told = made.statement
    assert (told.local_epsilon, told.delta) == (0.5, 1e-6)
    assert told.epsilon is not None
    assert 1 < told.epsilon <= 1.5 * (1 + 1e-12)
    assert told.neighbouring_relation == (
        "one row added or removed; in tables treated row by row, all values in one row changed"
    )
    text = (made.folder / "statement.txt").read_text()
    assert "the tables treated row by row have a local epsilon of 0.5" in text


def test_a_twin_of_some_tables_has_reports_that_name_the_others(tmp_path: Path) -> None:
    spec = (
        "budget: {epsilon: 2, delta: 0.000001}\ntables: {persons: {synthesis: {mechanism: mst}}}\n"
    )
    made = run(tmp_path, PERSONS, spec, {"persons": persons()["persons"]}, "person")
    for name in ("report.html", "provider-report.html"):
        page = (made.folder / name).read_text()
        assert "Not in this twin, nor in its reports: stays." in page
        assert "age" in page


WARDS = """
  - name: wards
    columns:
      - {name: beds, type: integer, range: [0, 50], bins: 10}
"""


def test_dummies_beside_real_tables_do_not_keep_the_provider_from_its_report(
    tmp_path: Path,
) -> None:
    spec = (
        "budget: {epsilon: 2, delta: 0.000001}\n"
        "tables: {stays: {synthesis: {mechanism: mst}}, wards: {dummy: {rows: 20}}}\n"
    )
    made = run(tmp_path, ROWS.rstrip() + WARDS, spec, STAYS, "row")
    assert "beds" in (made.folder / "report.html").read_text()
    private = (made.folder / "provider-report.html").read_text()
    assert "age" in private
    assert "beds" not in private
