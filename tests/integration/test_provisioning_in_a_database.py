"""A twin made while every row stays in the provider's database: DuckDB, and a real PostgreSQL."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import psycopg
import pytest
import typer.testing

from manatee.budgets import BudgetLedger
from manatee.cli._app import app
from manatee.errors import (
    ProvisioningError,
    SchemaMismatchError,
    SettingsError,
    TableError,
)
from manatee.provisioning.runs import (
    Desk,
    Order,
    Outcome,
    insecure_fixed,
    make_order,
    provider_secret,
    provision,
    rows_and_digest,
)
from manatee.provisioning.tables import TableInPlace, open_source, table_in_place
from manatee.testing._postgresql import (
    fresh_database,
    postgresql_programs,
    postgresql_server,
    server_away,
)

CONTRACT = b"""
format: manatee-data-contract/2
name: clinic
label: synthetic
privacy_unit: row
tables:
  - name: visits
    key: [id]
    columns:
      - {name: id, type: identifier, holds: integer}
      - {name: age, type: integer, range: [0, 99], bins: 10, nullable: true}
      - {name: paid, type: decimal, range: [0, 999.99], decimals: 2, bins: 8}
      - {name: risk, type: float, range: [0, 1], decimals: 4, bins: 5}
      - {name: ward, type: category, categories: [north, rest], other: rest}
      - {name: smoker, type: boolean, nullable: true}
      - {name: born, type: date, range: ['1900-01-01', '2030-01-01'], bins: 6}
      - {name: seen, type: timestamp, range: ['2020-01-01T00:00:00Z', '2027-01-01T00:00:00Z'],
         bins: 7}
      - {name: note, type: text, max_length: 9, nullable: true}
    constraints:
      - {name: the old pay, check: 'age < 90 or paid > 1'}
"""
SPEC = b"""
format: manatee-provisioning-spec/1
contract: clinic
budget: {epsilon: 1, delta: 0.000001}
tables: {visits: {synthesis: {mechanism: mst}}}
"""
CREATE = """
CREATE TABLE visits (id bigint, age integer, paid decimal(9, 3), risk double precision,
    ward varchar(20), smoker boolean, born date, seen timestamp with time zone, note varchar(40))
"""
COLUMNS = ("id", "age", "paid", "risk", "ward", "smoker", "born", "seen", "note")
SECRET = "hunter2"
Row = dict[str, object]


def rows() -> list[Row]:
    return [
        {
            "id": n,
            "age": None if n % 13 == 0 else n % 90,
            "paid": f"{(n * 7919) % 99900 / 100:.2f}",
            "risk": (n % 101) / 100,
            "ward": ("north", "south", "rest")[n % 3],
            "smoker": (True, False, None)[n % 3],
            "born": f"{1930 + n % 80}-0{1 + n % 9}-1{n % 9}",
            "seen": f"202{n % 6}-05-1{n % 9}T23:59:59.{n % 10}Z",
            "note": None if n % 5 else 'a "b"\né,',
        }
        for n in range(400)
    ]


@dataclass
class Clinic:
    """A provider whose table lies in a database."""

    folder: Path
    where: TableInPlace
    desk: Desk
    execute: Callable[[str, list[tuple[object, ...]]], None]

    @property
    def order(self) -> Order:
        return make_order(CONTRACT, SPEC)

    @property
    def out(self) -> Path:
        return self.folder / "twin"

    def insert(self, *some: Row) -> None:
        self.execute(
            f"INSERT INTO visits VALUES ({', '.join('?' * len(COLUMNS))})",
            [tuple(row[name] for name in COLUMNS) for row in some],
        )

    def run(self, *, resume: bool = False, order: Order | None = None) -> Outcome:
        return provision(order or self.order, self.where, self.out, desk=self.desk, resume=resume)

    def from_file(self, some: list[Row]) -> Outcome:
        """Make the same twin from a file of the same rows."""
        path = self.folder / "visits.csv"
        with path.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(COLUMNS)
            for row in some:
                writer.writerow(
                    str(v).lower() if isinstance(v, bool) else v for v in map(row.get, COLUMNS)
                )
        desk = replace(self.desk, noise=insecure_fixed(7))
        return provision(self.order, {"visits": path}, self.folder / "of-file", desk=desk)

    def spent(self) -> tuple[int, int]:
        found = self.desk.ledger.spent("clinic")
        return found.charges, int(found.held > 0)


def desk_in(folder: Path) -> Desk:
    ledger = BudgetLedger(folder / "budget.sqlite")
    ledger.set_limit("clinic", epsilon=3, delta=1e-5)
    return Desk(
        ledger, provider_secret(folder / "secret.key"), noise=insecure_fixed(7), stamp="fixed noise"
    )


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    programs = postgresql_programs()
    if programs is None:
        pytest.skip("no PostgreSQL server here: apt-get install postgresql")
    with postgresql_server(programs) as dsn:
        yield dsn


@pytest.fixture
def url(server: str) -> Iterator[str]:
    with fresh_database(server) as found:
        yield found


def in_postgresql(url: str, folder: Path) -> Clinic:
    def execute(statement: str, values: list[tuple[object, ...]]) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.cursor().executemany(statement.replace("?", "%s"), values or [()])

    execute(CREATE, [])
    where = table_in_place("visits", url.replace("?", "/public.visits?"))
    return Clinic(folder, where, desk_in(folder), execute)


def in_duckdb(folder: Path) -> Clinic:
    file = folder / "clinic.duckdb"

    def execute(statement: str, values: list[tuple[object, ...]]) -> None:
        with duckdb.connect(str(file)) as connection:
            if values:
                connection.executemany(statement, values)
            else:
                connection.execute(statement)

    execute(CREATE, [])
    where = table_in_place("visits", f"duckdb:{file}::main.visits")
    return Clinic(folder, where, desk_in(folder), execute)


@pytest.fixture(params=["duckdb", "postgresql"])
def clinic(request: pytest.FixtureRequest, tmp_path: Path) -> Clinic:
    if request.param == "duckdb":
        return in_duckdb(tmp_path)
    return in_postgresql(request.getfixturevalue("url"), tmp_path)


def test_counted_where_it_lies_a_table_gives_the_same_numbers_as_its_file(clinic: Clinic) -> None:
    clinic.insert(*rows())
    made = clinic.run()
    same = clinic.from_file(rows())
    journals = [(found.folder / "released.jsonl").read_bytes() for found in (made, same)]
    assert journals[0] == journals[1], "fixed noise: equal answers mean equal exact counts"
    assert made.report_passed
    assert (made.folder / "report.html").exists()
    assert not (made.folder / "provider-report.html").exists()
    assert made.statement.data_digest.startswith("hmac-sha256-of-rows:")


BROKEN: dict[str, Row] = {
    "out of its range": {"age": 100},
    "no value may be missing": {"ward": None},
    "more than 2 decimal places": {"paid": "1.005"},
    "'risk': a value is": {"risk": float("nan")},
    "'born': a value is out of its range": {"born": "1899-12-31"},
    "'seen': a value is out of its range": {"seen": "2027-01-01T00:00:00.000001Z"},
    "at most 9 characters": {"note": "ten of them"},
    "breaks the constraint 'the old pay'": {"age": 95, "paid": "0.50"},
    r"the key \(.id.\) must be unique": {"id": 7},
    "no value may be missing.": {"id": None},
    "at most 18 digits": {"id": 10**18},
}


@pytest.mark.parametrize("rule", BROKEN)
def test_a_row_that_breaks_a_rule_is_refused_and_costs_nothing(clinic: Clinic, rule: str) -> None:
    bad = rows()[1] | {"id": 1000} | BROKEN[rule]
    clinic.insert(*rows(), bad)
    with pytest.raises(SchemaMismatchError, match=rule):
        clinic.run()
    assert clinic.spent() == (0, 0)
    assert {path.name for path in clinic.folder.iterdir()} <= {
        *("clinic.duckdb", "budget.sqlite", "secret.key")
    }


def test_the_file_path_refuses_the_same_rows(tmp_path: Path) -> None:
    clinic = in_duckdb(tmp_path)
    for rule, broken in BROKEN.items():
        with pytest.raises(SchemaMismatchError):
            clinic.from_file([*rows(), rows()[1] | {"id": 1000} | broken])
        assert rule
    assert clinic.spent() == (0, 0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("ALTER TABLE visits DROP COLUMN paid", "column 'paid' of the contract is missing"),
        ("ALTER TABLE visits ADD COLUMN name varchar", "the contract does not name all"),
        ("ALTER TABLE visits ALTER COLUMN risk TYPE real", "type cannot be counted as float"),
        ("ALTER TABLE visits ALTER COLUMN age TYPE varchar", "type cannot be counted as integer"),
    ],
)
def test_other_columns_than_the_contracts_are_refused(
    clinic: Clinic, change: str, said: str
) -> None:
    clinic.insert(*rows())
    clinic.execute(change, [])
    with pytest.raises(SchemaMismatchError, match=said):
        clinic.run()
    assert clinic.spent() == (0, 0)


def test_a_table_without_rows_or_that_is_not_there_is_refused(clinic: Clinic) -> None:
    with pytest.raises(TableError, match="has no rows"):
        clinic.run()
    clinic.where = replace(clinic.where, relation="nowhere")
    with pytest.raises(TableError, match="cannot be read from its database"):
        clinic.run()
    assert clinic.spent() == (0, 0)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"privacy_unit: row", b"privacy_unit: {person: visits}", "the privacy unit is a row"),
        (
            b"tables:\n",
            b"tables:\n  - {name: other, columns: [{name: a, type: boolean}]}\n",
            "the contract's only one",
        ),
    ],
)
def test_what_needs_more_than_counts_of_one_table_is_refused(
    clinic: Clinic, old: bytes, new: bytes, said: str
) -> None:
    clinic.insert(*rows())
    with pytest.raises(ProvisioningError, match=said):
        clinic.run(order=make_order(CONTRACT.replace(old, new), SPEC))
    assert clinic.spent() == (0, 0)


def test_rows_that_would_be_treated_do_not_leave_the_database(clinic: Clinic) -> None:
    clinic.insert(*rows())
    ways = dict.fromkeys(COLUMNS, "{keep: {}}")
    ways |= {"id": "{pseudonym: {key: id}}", "note": "{suppress: {with: none}}"}
    columns = ", ".join(f"{name}: {way}" for name, way in ways.items())
    spec = SPEC.replace(b"{synthesis: {mechanism: mst}}", b"{columns: {COLUMNS}}")
    spec = spec.replace(b"COLUMNS", columns.encode()).replace(b"budget", b"# budget")
    contract = CONTRACT.replace(b"    key: [id]\n", b"    key: [id]\n    rows: public\n")
    with pytest.raises(ProvisioningError, match="row by row"):
        clinic.run(order=make_order(contract, spec))
    assert clinic.spent() == (0, 0)


@pytest.mark.parametrize("where", ["check", "reserve", "commit", "measured column ward"])
def test_a_server_killed_in_the_middle_publishes_nothing_and_loses_no_budget(
    server: str, url: str, tmp_path: Path, where: str
) -> None:
    clinic = in_postgresql(url, tmp_path)
    clinic.insert(*rows())
    programs = postgresql_programs()
    assert programs is not None

    def killed(reached: str) -> None:
        if reached == where:
            with server_away(programs, server):
                pass

    desk = clinic.desk
    clinic.desk = replace(desk, checkpoint=killed)
    with pytest.raises((TableError, ProvisioningError), match="database"):
        clinic.run()
    assert not clinic.out.exists()
    paid = where in {"commit", "measured column ward"}
    assert clinic.spent() == (int(paid), 0), "reserved budget is given back, committed is kept"
    clinic.desk = desk
    clinic.run(resume=paid)
    assert clinic.spent() == (1, 0)
    assert [path.name for path in tmp_path.iterdir() if "twin" in path.name] == ["twin"]


def test_a_run_is_not_resumed_on_rows_that_changed_in_the_database(clinic: Clinic) -> None:
    clinic.insert(*rows())
    desk = clinic.desk

    def broken(reached: str) -> None:
        if reached == "commit":
            raise ProvisioningError("the machine was switched off.")

    clinic.desk = replace(desk, checkpoint=broken)
    with pytest.raises(ProvisioningError, match="switched off"):
        clinic.run()
    clinic.desk = desk
    clinic.execute("UPDATE visits SET note = 'b' WHERE id = 7", [])
    with pytest.raises(ProvisioningError, match="not those of the interrupted run"):
        clinic.run(resume=True)
    clinic.execute("UPDATE visits SET note = NULL WHERE id = 7", [])
    clinic.run(resume=True)
    assert clinic.spent() == (1, 0)


def test_the_command_counts_in_postgresql_and_keeps_the_password_to_itself(
    url: str, tmp_path: Path
) -> None:
    in_postgresql(url, tmp_path).insert(*rows())
    (tmp_path / "contract.yaml").write_bytes(CONTRACT)
    (tmp_path / "spec.yaml").write_bytes(SPEC)
    place = url.replace("postgres@", f"postgres:{SECRET}@").replace("?", "/public.visits?")
    done = typer.testing.CliRunner().invoke(
        app,
        [
            *("provision", str(tmp_path / "contract.yaml"), str(tmp_path / "spec.yaml")),
            *("--table", f"visits={place}", "--out", str(tmp_path / "twin")),
            *("--ledger", str(tmp_path / "budget.sqlite")),
        ],
    )
    assert done.exit_code == 0, done.output
    assert "no provider-report.html" in done.stderr
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 5
    for text in (done.output.encode(), *written):
        assert SECRET.encode() not in text


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://me:{SECRET}@host/",
        f"postgresql://me:{SECRET}@[host/t",
        "duckdb:file.duckdb",
        "duckdb:::t",
    ],
)
def test_a_place_that_is_none_is_refused_without_its_password(text: str) -> None:
    with pytest.raises(SettingsError, match="no place of a database") as caught:
        table_in_place("visits", text)
    assert SECRET not in str(caught.value)


def test_a_place_is_split_into_server_and_table() -> None:
    found = [
        table_in_place("v", "postgresql://me@host:5433/db/my%20clinic.v?sslmode=require"),
        table_in_place("v", "postgres:///v"),
        table_in_place("v", "postgresql:///db/v?host=/run"),
        table_in_place("v", "duckdb:/a/b.duckdb::main.v"),
    ]
    assert [(item.server, item.relation) for item in found] == [
        ("postgresql://me@host:5433/db?sslmode=require", "my clinic.v"),
        ("postgresql://", "v"),
        ("postgresql:///db?host=/run", "v"),
        ("/a/b.duckdb", "main.v"),
    ]
    assert SECRET not in repr(table_in_place("v", f"postgresql://me:{SECRET}@host/v"))


def test_what_was_counted_is_what_is_sealed(clinic: Clinic) -> None:
    clinic.insert(*rows())
    made = clinic.run()
    with rows_and_digest(clinic.where, clinic.order.contract, clinic.desk.secret) as found:
        source, digest = found
        assert digest == made.statement.data_digest
        sealed = source.table("visits").read().sort_by("id")
    same = clinic.folder / "visits.csv"
    clinic.from_file(rows())
    with open_source({"visits": same}, clinic.order.contract) as file:
        assert sealed.equals(file.table("visits").read())
    clinic.execute("UPDATE visits SET smoker = NULL WHERE id = 7", [])
    with rows_and_digest(clinic.where, clinic.order.contract, clinic.desk.secret) as found:
        assert found[1] != made.statement.data_digest
