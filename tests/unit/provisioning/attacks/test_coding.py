"""Places, cells and grids come from the contract, for every type with cells."""

from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from manatee.contracts import Column
from manatee.provisioning.attacks import (
    cells_of,
    edges,
    grid_size,
    label_of,
    n_value_cells,
    on_line,
)

INTEGER = Column("a", "integer", minimum=0, maximum=99, bins=50)
COLOUR = Column("c", "category", categories=("red", "blue", "else"), other="else", nullable=True)


@pytest.mark.parametrize(
    ("column", "values", "line"),
    [
        (INTEGER, pa.array([0, 99, None]), [0, 99, np.nan]),
        (COLOUR, pa.array(["blue", "green", None]), [1, 2, np.nan]),
        (Column("b", "boolean"), pa.array([True, False]), [1, 0]),
        (
            Column("d", "decimal", minimum=0, maximum=9, decimals=2),
            pa.array([Decimal("1.25")]),
            [1.25],
        ),
        (Column("d", "date", minimum=0, maximum=9), pa.array([date(1970, 1, 3)]), [2]),
        (
            Column("t", "timestamp", minimum=0, maximum=9),
            pa.array([datetime(1970, 1, 1, 0, 0, 2, 500_000, UTC)], pa.timestamp("us", "UTC")),
            [2.5],
        ),
    ],
)
def test_every_type_has_its_line(column, values, line):
    np.testing.assert_array_equal(on_line(pa.chunked_array([values]), column), line)


def test_cells_do_not_depend_on_the_rows():
    alone = [int(cells_of(np.array([place]), INTEGER)[0]) for place in range(100)]
    assert alone == cells_of(np.arange(100.0), INTEGER).tolist()
    assert (min(alone), max(alone)) == (0, n_value_cells(INTEGER) - 1)
    assert n_value_cells(INTEGER) == 20
    assert n_value_cells(INTEGER, 1000) == 50


def test_missing_values_have_the_last_cell():
    assert cells_of(np.array([np.nan, 1.0]), COLOUR).tolist() == [3, 1]
    assert label_of(3, COLOUR) == "missing"


def test_cells_are_named_by_the_values_they_hold():
    assert label_of(0, INTEGER) == "0 to 4"
    assert label_of(2, Column("k", "integer", minimum=0, maximum=5, bins=6)) == "2"
    assert label_of(1, COLOUR) == "blue"
    assert label_of(0, Column("d", "date", minimum=0, maximum=1, bins=2)) == "1970-01-01"
    assert len(edges(INTEGER)) == 21


def test_a_grid_counts_the_values_that_the_contract_allows():
    assert grid_size(INTEGER) == 100
    assert grid_size(Column("x", "decimal", minimum=0, maximum=1, decimals=3)) == 1001
