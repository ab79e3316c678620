"""Counting what a twin report compares: the real table and the twin are counted alike."""

from __future__ import annotations

import math

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manatee.comparison import arrow_columns, check_order, count_exactly
from manatee.errors import MalformedError
from manatee.records import ArrowColumn, Stratum, TwinComparison
from manatee.testing import VISITS_ORDER as ORDER
from manatee.testing import VISITS_PER_PERSON as PER_PERSON
from manatee.testing import visits as table


def counts(
    rows: pa.Table, order: TwinComparison, chunk: int = 2
) -> dict[tuple[str, ...], list[int]]:
    found = count_exactly(rows.to_batches(max_chunksize=chunk), rows.schema, order)
    return {(item.what, *item.columns): item.counts for item in found}


def test_missing_values_and_strata_are_counted_over_all_batches(persons: pa.Table) -> None:
    assert counts(persons, ORDER) == {
        ("records",): [5],
        ("missing", "bmi"): [3],
        ("strata", "smoker"): [2, 2],
        ("strata", "town"): [4, 1],
        ("strata", "smoker", "town"): [1, 1, 2, 0],
    }


def test_an_unlisted_value_counts_as_the_one_that_stands_for_it_and_else_not_at_all() -> None:
    rows = table(town=["pisa", None], smoker=["perhaps", "no"])
    found = counts(rows, ORDER)
    assert found["strata", "town"] == [0, 1]
    assert found["strata", "smoker"] == [1, 0]


def test_booleans_have_two_strata() -> None:
    rows = pa.table({"ill": pa.array([True, False, True, None])})
    order = TwinComparison(
        rho="1/2",
        unit="row",
        strata=(Stratum(columns=("ill",), values=(("false", "true"),), other=(None,)),),
    )
    assert counts(rows, order)["strata", "ill"] == [1, 2]


def test_of_a_person_the_first_rows_count_and_rows_of_nobody_do_not(persons: pa.Table) -> None:
    assert counts(persons, PER_PERSON) == {
        ("records",): [3],
        ("missing", "bmi"): [1],
        ("strata", "smoker"): [1, 1],
        ("strata", "smoker", "town"): [0, 1, 1, 0],
    }


def test_an_empty_table_has_as_many_counts_as_any_other() -> None:
    assert counts(table(), ORDER)["strata", "smoker", "town"] == [0, 0, 0, 0]


Row = st.tuples(
    st.sampled_from([None, "no", "yes", "perhaps"]),
    st.sampled_from([None, "rome", "pisa"]),
    st.sampled_from([None, 21.0]),
)


@given(
    others=st.lists(st.tuples(st.integers(0, 3), Row), max_size=12),
    theirs=st.lists(Row, max_size=6),
    places=st.lists(st.integers(0, 12), min_size=6, max_size=6),
    chunk=st.integers(1, 5),
)
def test_one_person_more_moves_every_measurement_by_no_more_than_is_stated(
    others: list[tuple[int, tuple[object, ...]]],
    theirs: list[tuple[object, ...]],
    places: list[int],
    chunk: int,
) -> None:
    """The L2 sensitivity that the noise is made for, wherever the person's rows stand."""
    with_them = [(person, row) for person, row in others]
    for row, place in zip(theirs, places, strict=False):
        with_them.insert(place, (9, row))

    def of(rows: list[tuple[int, tuple[object, ...]]]) -> list[list[int]]:
        made = table(
            person=[person for person, _ in rows],
            smoker=[row[0] for _, row in rows],
            town=[row[1] for _, row in rows],
            bmi=[row[2] for _, row in rows],
        )
        return list(counts(made, PER_PERSON, chunk).values())

    for before, after in zip(of(list(others)), of(with_them), strict=True):
        assert math.dist(before, after) <= PER_PERSON.most_rows


SCHEMA = table().schema
SMOKER, _, BOTH = ORDER.strata

REFUSED: dict[str, TwinComparison] = {
    "a person without a column": msgspec.structs.replace(PER_PERSON, person=None),
    "a column of persons for rows": msgspec.structs.replace(ORDER, person="person"),
    "several rows of a row": msgspec.structs.replace(ORDER, most_rows=2),
    "an unknown person": msgspec.structs.replace(PER_PERSON, person="patient"),
    "an unknown column": msgspec.structs.replace(ORDER, missing=("weight",)),
    "an unknown stratum": msgspec.structs.replace(
        ORDER, strata=(msgspec.structs.replace(SMOKER, columns=("drinker",)),)
    ),
    "values of too few columns": msgspec.structs.replace(
        ORDER, strata=(msgspec.structs.replace(BOTH, values=(("no", "yes"),)),)
    ),
    "a column twice": msgspec.structs.replace(
        ORDER, strata=(msgspec.structs.replace(BOTH, columns=("smoker", "smoker")),)
    ),
    "a value twice": msgspec.structs.replace(
        ORDER, strata=(msgspec.structs.replace(SMOKER, values=(("no", "no"),)),)
    ),
    "no values": msgspec.structs.replace(
        ORDER, strata=(msgspec.structs.replace(SMOKER, values=((),)),)
    ),
    "too many strata": msgspec.structs.replace(
        ORDER,
        strata=(
            msgspec.structs.replace(
                BOTH,
                values=(tuple(map(str, range(65))), tuple(map(str, range(64)))),
                other=(None, None),
            ),
        ),
    ),
}


@pytest.mark.parametrize("order", REFUSED.values(), ids=REFUSED.keys())
def test_an_order_that_does_not_fit_is_refused_before_a_row_is_looked_at(
    order: TwinComparison,
) -> None:
    with pytest.raises(MalformedError):
        check_order(order, SCHEMA)


def test_columns_are_told_as_a_notebook_sees_them() -> None:
    schema = pa.schema([pa.field("age", pa.int64(), nullable=False), pa.field("bmi", pa.float64())])
    assert arrow_columns(schema) == (
        ArrowColumn(name="age", type="int64", nullable=False),
        ArrowColumn(name="bmi", type="double", nullable=True),
    )
