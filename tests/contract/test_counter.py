"""One suite for everything that counts: the same answers as counting in plain Python."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import duckdb
import numpy as np
import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from manatee.contracts import Column, Table, arrow_schema, edges, n_cells, n_values
from manatee.errors import ProvisioningError
from manatee.provisioning.counting import BlockCounter, Counter, SqlCounter, memory_counter
from manatee.testing._postgresql import postgresql_programs, postgresql_server

NUMERIC = ["integer", "float", "decimal", "date", "timestamp"]
EPOCH_DAY = date(1970, 1, 1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Make = Callable[[list[Column], pa.Table], Counter]

COLUMNS = [
    Column("age", "integer", minimum=0, maximum=99, bins=7, nullable=True),
    Column("weight", "float", minimum=-1.5, maximum=9.75, bins=9),
    Column("paid", "decimal", minimum=0.1, maximum=1.3, bins=12, decimals=1, nullable=True),
    Column("smoker", "boolean", nullable=True),
    Column("town", "category", categories=("A'dam", 'B "q"', "rest"), other="rest", nullable=True),
    Column("born", "date", minimum=-400, maximum=20000, bins=11, nullable=True),
    Column("seen", "timestamp", minimum=0, maximum=1_700_000_000, bins=10, nullable=True),
    Column('odd "name"; --', "integer", minimum=1, maximum=3, bins=3),
]


def value_at(column: Column, number: float) -> object:
    """Return the column's value at a number on its line."""
    if column.type == "integer":
        return int(number)
    if column.type == "decimal":
        return Decimal(number).quantize(Decimal(1).scaleb(-column.decimals))
    if column.type == "date":
        return EPOCH_DAY + timedelta(days=int(number))
    if column.type == "timestamp":
        return EPOCH + timedelta(microseconds=round(number * 1_000_000))
    return number


def cell_of(column: Column, value: object) -> int:
    """Count by hand: the oracle, one value at a time."""
    if value is None:
        return n_values(column)
    if column.type == "boolean":
        return int(bool(value))
    if column.type == "category":
        known = column.categories
        return known.index(str(value)) if value in known else known.index(str(column.other))
    if isinstance(value, datetime):
        number = (value - EPOCH) / timedelta(seconds=1)
    elif isinstance(value, date):
        number = float((value - EPOCH_DAY).days)
    else:
        number = float(value)  # type: ignore[arg-type]
    return sum(number >= edge for edge in edges(column)[1:-1])


def borders(column: Column) -> list[object]:
    """Return values at, just under and just over every edge of a column's cells."""
    if column.type == "boolean":
        return [False, True]
    if column.type == "category":
        return [*column.categories, *(["elsewhere", "", "É"] if column.other else [])]
    step = {"integer": 1, "date": 1, "timestamp": 1e-6, "float": 1e-9}.get(
        column.type, 10.0**-column.decimals
    )
    low, high = float(column.minimum or 0), float(column.maximum or 0)
    near = [edge + shift for edge in edges(column) for shift in (-step, 0.0, step)]
    return [value_at(column, number) for number in [*near, low, high] if low <= number <= high]


def table_of(columns: list[Column], n_rows: int, seed: int) -> pa.Table:
    """Return a table full of borders, missing values and repeats."""
    sampler = np.random.default_rng(seed)
    found = {}
    for column in columns:
        known = borders(column) + ([None] if column.nullable else [])
        found[column.name] = [known[place] for place in sampler.integers(0, len(known), n_rows)]
    schema = arrow_schema(Table("t", tuple(columns)))
    return pa.table([pa.array(found[f.name], f.type) for f in schema], schema=schema)


def by_hand(
    columns: list[Column],
    rows: pa.Table,
    names: tuple[str, ...],
    merges: dict[str, np.ndarray] | None = None,
) -> np.ndarray:
    known = {column.name: column for column in columns}
    merges = {name: np.arange(n_cells(known[name])) for name in known} | (merges or {})
    counts = np.zeros([int(merges[name].max()) + 1 for name in names], dtype=np.int64)
    for row in rows.select(list(names)).to_pylist() if names else [{}] * rows.num_rows:
        counts[tuple(merges[n][cell_of(known[n], row[n])] for n in names)] += 1
    return counts


@contextmanager
def in_memory(columns: list[Column], rows: pa.Table) -> Iterator[Counter]:
    yield memory_counter(columns, {name: rows[name] for name in rows.column_names})


@contextmanager
def in_blocks(columns: list[Column], rows: pa.Table) -> Iterator[Counter]:
    with BlockCounter(columns, rows.to_batches(max_chunksize=37)) as counter:
        yield counter


@contextmanager
def in_duckdb(columns: list[Column], rows: pa.Table) -> Iterator[Counter]:
    with duckdb.connect() as connection:
        connection.register("private rows", rows)
        yield SqlCounter(columns, connection, "private rows", dialect="duckdb")


KINDS = {
    "integer": "bigint", "float": "double precision", "boolean": "boolean", "category": "text",
    "date": "date", "timestamp": "timestamptz", "decimal": "numeric(38, 9)", "text": "text",
}  # fmt: skip


def put(connection: object, name: str, columns: list[Column], rows: pa.Table) -> None:
    """Copy rows into a new table of a PostgreSQL server."""
    where = sql.Identifier(*name.split("."))
    listed = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(c.name), sql.SQL(KINDS[c.type])) for c in columns
    )
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(where))
    connection.execute(sql.SQL("CREATE TABLE {} ({})").format(where, listed))
    with (
        connection.cursor() as cursor,
        cursor.copy(sql.SQL("COPY {} FROM STDIN").format(where)) as copy,
    ):
        for row in rows.to_pylist():
            copy.write_row([row[column.name] for column in columns])


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    programs = postgresql_programs()
    if programs is None:
        pytest.skip("no PostgreSQL server here: apt-get install postgresql")
    with postgresql_server(programs) as dsn:
        yield dsn


@pytest.fixture(params=["memory", "blocks", "duckdb", "postgresql"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    made = {"memory": in_memory, "blocks": in_blocks, "duckdb": in_duckdb}
    if request.param in made:
        with ExitStack() as stack:
            yield lambda columns, rows: stack.enter_context(made[request.param](columns, rows))
        return
    with psycopg.connect(request.getfixturevalue("server"), autocommit=True) as connection:

        def in_postgresql(columns: list[Column], rows: pa.Table) -> Counter:
            put(connection, "private rows", columns, rows)
            return SqlCounter(columns, connection, "private rows", dialect="postgresql")

        yield in_postgresql


def test_pairs_triples_and_totals_are_what_counting_by_hand_finds(make: Make) -> None:
    rows = table_of(COLUMNS, 600, seed=1)
    names = [column.name for column in COLUMNS]
    marginals = [(), *((name,) for name in names), *itertools.combinations(names, 2)]
    marginals += [("town", "age", "seen"), ("seen", "town")]
    found = make(COLUMNS, rows).count(marginals)
    for names_, counts in zip(marginals, found, strict=True):
        assert (counts == by_hand(COLUMNS, rows, names_)).all(), names_
        assert counts.dtype == np.int64


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.type)
def test_values_at_the_edges_of_cells_fall_where_the_contract_says(
    make: Make, column: Column
) -> None:
    known = borders(column) + ([None] if column.nullable else [])
    schema = arrow_schema(Table("t", (column,)))
    for start in range(0, len(known), 9):
        some = known[start : start + 9]
        rows = pa.table([pa.array(some, schema.field(0).type)], schema=schema)
        (counts,) = make([column], rows).count([(column.name,)])
        assert (counts == by_hand([column], rows, (column.name,))).all()


def test_merged_cells_add_up(make: Make) -> None:
    rows = table_of(COLUMNS, 400, seed=2)
    merges = {
        "age": np.array([0, 0, 0, 1, 1, 2, 2, 3]),
        "town": np.array([0, 1, 0, 1]),
        "smoker": np.array([0, 0, 0]),
        "born": np.array([0] * 5 + [1] * 6 + [2]),
    }
    marginals = [("age",), ("age", "town"), ("born", "smoker", "weight"), ("town", "born")]
    found = make(COLUMNS, rows).count(marginals, merges)
    for names, counts in zip(marginals, found, strict=True):
        assert (counts == by_hand(COLUMNS, rows, names, merges)).all(), names


def test_a_table_without_rows_counts_zero_everywhere(make: Make) -> None:
    rows = table_of(COLUMNS, 0, seed=3)
    total, pair = make(COLUMNS, rows).count([(), ("age", "town")])
    assert total.shape == ()
    assert int(total) == 0
    assert pair.shape == (8, 4)
    assert not pair.any()


def test_no_marginal_is_no_answer(make: Make) -> None:
    assert make(COLUMNS, table_of(COLUMNS, 5, seed=4)).count([]) == []


def test_a_marginal_too_large_to_hold_is_refused(make: Make) -> None:
    wide = [Column(f"x{i}", "integer", minimum=0, maximum=999, bins=1000) for i in range(3)]
    with pytest.raises(ProvisioningError, match="cells"):
        make(wide, table_of(wide, 3, seed=5)).count([("x0", "x1", "x2")])


@st.composite
def contracts(draw: st.DrawFn) -> list[Column]:
    columns = []
    for place in range(draw(st.integers(1, 3))):
        name, nullable = f"c{place}", draw(st.booleans())
        kind = draw(
            st.sampled_from(["integer", "float", "decimal", "date", "timestamp", "category"])
        )
        if kind == "category":
            known = tuple(
                draw(st.lists(st.text("ab'\"\\%é ", min_size=1), min_size=1, unique=True))
            )
            other = draw(st.sampled_from([None, *known]))
            columns.append(Column(name, kind, categories=known, other=other, nullable=nullable))
            continue
        low = draw(st.integers(-1000, 1000))
        high = low + draw(st.integers(1, 5000))
        scale = 10 if kind in {"float", "decimal"} else 1
        bins = draw(st.integers(1, min(40, high - low)))
        columns.append(
            Column(
                name,
                kind,
                minimum=low / scale,
                maximum=high / scale,
                bins=bins,
                decimals=1,
                nullable=nullable,
            )
        )
    return columns


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(columns=contracts(), seed=st.integers(0, 1000))
def test_any_contract_is_counted_as_by_hand(make: Make, columns: list[Column], seed: int) -> None:
    rows = table_of(columns, 40, seed)
    names = tuple(column.name for column in columns)
    (counts,) = make(columns, rows).count([names])
    assert (counts == by_hand(columns, rows, names)).all()
