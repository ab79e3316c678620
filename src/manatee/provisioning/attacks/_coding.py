"""Columns as numbers that attacks and reports compare: places on a line, cells, grid points.

Cells and grids come from the contract alone, so that two tables are always compared on the same
ones. Missing values are NaN on the line and one more, last, cell.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from manatee.contracts import Column

Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

RANGE = " to "
"""Stands between the limits in the name of a cell of several numbers."""

COMPARED_CELLS = 20
"""Most equal-width cells that a numeric column is compared on: with more, two samples of the same
people already differ much by chance."""


def on_line(values: pa.ChunkedArray | pa.Array, column: Column) -> Floats:
    """Return each value's place on the column's line (a category's number), NaN where missing."""
    if column.type == "category":
        found = pc.index_in(values, pa.array(column.categories, pa.string()))
        if column.other is not None:
            other = pa.scalar(column.categories.index(column.other), pa.int32())
            found = pc.if_else(pc.is_valid(values), found.fill_null(other), found)
    elif pa.types.is_date(values.type):
        found = values.cast(pa.date32()).cast(pa.int32())
    elif pa.types.is_timestamp(values.type):
        micros = values.cast(pa.timestamp("us", tz=values.type.tz), safe=False).cast(pa.int64())
        found = pc.divide(micros.cast(pa.float64()), 1e6)
    else:
        found = values
    numbers = found.cast(pa.float64()).fill_null(math.nan)
    return np.asarray(numbers.to_numpy(zero_copy_only=False), dtype=np.float64)


def n_value_cells(column: Column, most: int = COMPARED_CELLS) -> int:
    """Return the number of cells for values; missing values have one more."""
    if column.type == "category":
        return len(column.categories)
    if column.type == "boolean":
        return 2
    cells = min(column.bins or most, most)
    return min(cells, grid_size(column)) if column.type in {"integer", "date"} else cells


def edges(column: Column, most: int = COMPARED_CELLS) -> Floats:
    """Return the edges of a numeric column's cells, shape (n_value_cells + 1,), equal widths."""
    low, high = float(column.minimum or 0), float(column.maximum or 0)
    cells = n_value_cells(column, most)
    if column.type in {"integer", "date"}:
        return np.ceil(low + (high + 1 - low) * np.arange(cells + 1) / cells)
    return low + (high - low) * np.arange(cells + 1) / cells


def cells_of(line: Floats, column: Column, most: int = COMPARED_CELLS) -> Codes:
    """Return each value's cell, shape of `line`; missing values have the last."""
    missing = np.isnan(line)
    known = np.where(missing, 0.0, line)
    if column.numeric:
        found = np.searchsorted(edges(column, most)[1:-1], known, side="right")
    else:
        found = known.astype(np.int64)
    return np.where(missing, n_value_cells(column, most), found).astype(np.int64)


def grid_step(column: Column) -> float:
    """Return the distance of neighbouring values that a twin may hold, on the line."""
    return 10.0**-column.decimals if column.type in {"decimal", "float"} else 1.0


def grid_size(column: Column) -> int:
    """Return how many values the contract allows in the range of a numeric column."""
    low, high = float(column.minimum or 0), float(column.maximum or 0)
    return round((high - low) / grid_step(column)) + 1


def label_of(cell: int, column: Column, most: int = COMPARED_CELLS) -> str:
    """Return a cell's name for people."""
    if cell >= n_value_cells(column, most):
        return "missing"
    if column.type == "category":
        return column.categories[cell]
    if column.type == "boolean":
        return ("false", "true")[cell]
    low, high = edges(column, most)[cell : cell + 2]
    if column.type in {"integer", "date"}:
        high -= 1  # whole numbers: the cell's last value, not the next cell's first
    shown = _shown(low, column)
    return shown if high == low else f"{shown}{RANGE}{_shown(high, column)}"


def _shown(place: float, column: Column) -> str:
    if column.type == "date":
        return str(np.datetime64(int(place), "D"))
    if column.type == "timestamp":
        return str(np.datetime64(int(place), "s"))
    return f"{place:,.6g}"
