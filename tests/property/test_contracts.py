"""Contracts: only our error from any bytes; Arrow and DuckDB agree on every rule."""

import duckdb
import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from manatee.contracts import (
    Column,
    Constraint,
    Table,
    arrow_schema,
    constraint_sql,
    decode,
    encode,
    kept,
    n_cells,
    parse_contract,
)
from manatee.errors import ContractError

COLUMNS = (
    Column("a", "integer", minimum=-3, maximum=3, bins=3, nullable=True),
    Column("b", "decimal", minimum=-2, maximum=2, bins=4, decimals=1, nullable=True),
    Column("d", "date", minimum=18000, maximum=18010, bins=5, nullable=True),
    Column("c", "category", categories=("x", "it's"), nullable=True),
    Column("t", "boolean", nullable=True),
)
TABLE = Table("rows_", COLUMNS)

numbers = st.recursive(
    st.sampled_from(["a", "b", "2", "0.5", "-1"]),
    lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from("+-*"), inner),
    max_leaves=4,
)
comparisons = st.one_of(
    st.builds("{} {} {}".format, numbers, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
              numbers),
    st.sampled_from(["c == 'x'", 'c != "it\'s"', "t", "missing(a)", "missing(c)",
                     "d <= date('2019-04-20')", "d == date('2019-04-17')"]),
)  # fmt: skip
conditions = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(["and", "or"]), inner),
        st.builds("(not {})".format, inner),
    ),
    max_leaves=5,
)
seeds = st.integers(0, 2**32 - 1)


def table_of(seed: int) -> pa.Table:
    sampler = np.random.default_rng(seed)
    arrays = [decode(sampler.integers(0, n_cells(column), 30), column, sampler)
              for column in COLUMNS]  # fmt: skip
    return pa.table(arrays, schema=arrow_schema(TABLE))


@settings(max_examples=80, deadline=None)
@given(conditions, st.none() | conditions, seeds)
def test_arrow_and_duckdb_keep_the_same_rows(check: str, when: str | None, seed: int) -> None:
    rule, rows_ = Constraint("rule", check, when), table_of(seed)
    with duckdb.connect() as database:
        database.register("rows_", rows_)
        sql = database.execute(f"SELECT {constraint_sql(rule, TABLE)} FROM rows_").fetchall()
    assert [row[0] for row in sql] == kept(rule, TABLE, rows_).tolist()


@settings(max_examples=50, deadline=None)
@given(seeds)
def test_values_of_a_cell_are_coded_as_that_cell_again(seed: int) -> None:
    sampler = np.random.default_rng(seed)
    for column in COLUMNS:
        if column.type == "decimal":
            continue  # a rounded value may fall on the next cell's edge
        codes = sampler.integers(0, n_cells(column), 50)
        assert encode(decode(codes, column, sampler), column).tolist() == codes.tolist()


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode()))
def test_any_bytes_give_a_contract_error(data: bytes) -> None:
    try:
        parse_contract(data)
    except ContractError:
        return
    raise AssertionError("a few random bytes are no contract")
