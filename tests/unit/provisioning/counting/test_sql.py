"""SQL of a counter: made of the contract alone, and its answers are counts of cells."""

from __future__ import annotations

import duckdb
import numpy as np
import pytest

from manatee.contracts import Column
from manatee.errors import ProvisioningError
from manatee.provisioning.counting import SqlCounter

HOSTILE = "x'); DROP TABLE t; --"
COLUMNS = [
    Column("age", "integer", minimum=0, maximum=9, bins=5),
    Column("town", "category", categories=("a", HOSTILE)),
]


class Watched:
    """A real connection that remembers what was asked and what came back."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self.asked: list[str] = []
        self.answers: list[list[tuple]] = []

    def execute(self, statement: str):
        self.asked.append(statement)
        self.answers.append(self.connection.execute(statement).fetchall())
        return self

    def fetchall(self) -> list[tuple]:
        return self.answers[-1]


def test_one_statement_is_asked_and_no_more_than_the_cells_come_back() -> None:
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE t AS SELECT i % 10 AS age, 'a' AS town FROM range(5000) r(i)"
        )
        watched = Watched(connection)
        counter = SqlCounter(COLUMNS, watched, "t", dialect="duckdb")
        ages, pairs = counter.count([("age",), ("age", "town")])
    assert ages.tolist() == [1000] * 5
    assert pairs[:, 1].tolist() == [0] * 5
    assert len(watched.asked) == 1
    assert len(watched.answers[0]) == 10


def test_texts_of_the_contract_are_never_sql() -> None:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS age, ? AS town", [HOSTILE])
        (towns,) = SqlCounter(COLUMNS, connection, "t", dialect="duckdb").count([("town",)])
        assert towns.tolist() == [0, 1]
        assert connection.execute("SELECT COUNT(*) FROM t").fetchone() == (1,)


def test_an_engines_error_is_not_passed_on() -> None:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT 'secret' AS age, 'a' AS town")
        with pytest.raises(ProvisioningError) as caught:
            SqlCounter(COLUMNS, connection, "t", dialect="duckdb").count([("age",)])
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_cells_that_are_merged_into_one_need_no_comparison() -> None:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS age, 'a' AS town")
        watched = Watched(connection)
        merges = {"age": np.zeros(5, np.int64)}
        (one,) = SqlCounter(COLUMNS, watched, "t", dialect="duckdb").count([("age",)], merges)
    assert one.tolist() == [1]
    assert "<" not in watched.asked[0]
