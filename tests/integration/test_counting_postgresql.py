"""A real PostgreSQL server: read through the contract, and counted without a row leaving it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import psycopg
import pytest

from manatee.contracts import Column, Contract, Table
from manatee.errors import ProvisioningError, SchemaMismatchError, TableError
from manatee.provisioning.counting import SqlCounter
from manatee.provisioning.tables import connect, open_source
from manatee.testing._postgresql import postgresql_programs, postgresql_server

COLUMNS = (
    Column("age", "integer", minimum=0, maximum=120, bins=10, nullable=True),
    Column("paid", "decimal", minimum=0, maximum=999.99, bins=10, decimals=2),
    Column("smoker", "boolean", nullable=True),
    Column("town", "category", categories=("Lyon", "rest"), other="rest", nullable=True),
    Column("born", "date", minimum=-20000, maximum=20000, bins=10),
    Column("seen", "timestamp", minimum=0, maximum=2e9, bins=10),
    Column("note", "text", max_length=20, nullable=True),
)
CONTRACT = Contract("clinic", "synthetic", (Table("visits", COLUMNS),))
NAMES = {"visits": 'my clinic.a"b; DROP'}
CREATE = """
CREATE SCHEMA "my clinic";
CREATE TABLE "my clinic"."a""b; DROP" (age int, paid numeric(9, 2), smoker bool, town varchar(9),
    born date, seen timestamptz, note text);
INSERT INTO "my clinic"."a""b; DROP" VALUES
    (34, 10.5, true, 'Lyon', '1990-02-28', '2026-01-31T01:00:00+01:00', E'two\\nlines, "q"'),
    (NULL, 999.99, NULL, 'Oslo', '1969-12-31', '2026-01-31T01:30:00.25Z', '');
CREATE TABLE visits AS SELECT 7777 AS age, paid, smoker, town, born, seen, note
    FROM "my clinic"."a""b; DROP";
CREATE TABLE fewer AS SELECT age FROM visits;
"""


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    programs = postgresql_programs()
    if programs is None:
        pytest.skip("no PostgreSQL server here: apt-get install postgresql")
    with postgresql_server(programs) as found:
        with psycopg.connect(found, autocommit=True) as connection:
            connection.execute(CREATE)
        yield found


def test_a_table_of_a_server_is_read_through_the_contract(dsn: str) -> None:
    with open_source(dsn, CONTRACT, names=NAMES) as source:
        assert source.table("visits").read().to_pydict() == {
            "age": [34, None],
            "paid": [Decimal("10.50"), Decimal("999.99")],
            "smoker": [True, None],
            "town": ["Lyon", "rest"],
            "born": [date(1990, 2, 28), date(1969, 12, 31)],
            "seen": [
                datetime(2026, 1, 31, tzinfo=UTC),
                datetime(2026, 1, 31, 1, 30, 0, 250_000, tzinfo=UTC),
            ],
            "note": ['two\nlines, "q"', ""],
        }


def test_a_broken_rule_is_refused_without_the_value(dsn: str) -> None:
    with pytest.raises(SchemaMismatchError, match="'age': a value is out of its range") as caught:
        open_source(dsn, CONTRACT)
    assert "7777" not in str(caught.value)


def test_missing_tables_and_columns_are_refused(dsn: str) -> None:
    with pytest.raises(TableError, match="cannot be read from the server"):
        open_source(dsn, CONTRACT, names={"visits": "nowhere"})
    with pytest.raises(SchemaMismatchError, match="'paid' of the contract is missing"):
        open_source(dsn, CONTRACT, names={"visits": "fewer"})


def test_an_unreachable_server_is_reported_without_its_password() -> None:
    with pytest.raises(TableError) as caught:
        open_source("host=/nowhere user=me password=hunter2", CONTRACT)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_read_only_connection_is_enough_to_count(dsn: str) -> None:
    cellular = [column for column in COLUMNS if column.cellular]
    with connect(dsn) as connection:
        counter = SqlCounter(cellular, connection, NAMES["visits"], dialect="postgresql")
        total, towns = counter.count([(), ("town",)])
        assert int(total) == 2
        assert towns.tolist() == [1, 1, 0]
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("CREATE TABLE x (y int)")


def test_a_table_that_cannot_be_counted_gives_no_value_away(dsn: str) -> None:
    with connect(dsn) as connection:
        counter = SqlCounter(COLUMNS[:2], connection, "fewer", dialect="postgresql")
        with pytest.raises(ProvisioningError, match="did not count") as caught:
            counter.count([("paid",)])
        assert caught.value.__cause__ is None
