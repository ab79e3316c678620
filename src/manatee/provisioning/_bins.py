"""Cells: how values become small codes and codes become values, from the contract alone.

No function here looks at a table to decide where a cell begins or ends.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from manatee.provisioning._contract import Column

Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def n_values(column: Column) -> int:
    """Return the number of cells for values; a nullable column has one more, the last."""
    if column.type == "boolean":
        return 2
    return len(column.categories) if column.type == "category" else int(column.bins or 0)


def n_cells(column: Column) -> int:
    """Return the number of cells, the one for missing values included."""
    return n_values(column) + int(column.nullable)


def edges(column: Column) -> Floats:
    """Return the edges of a numeric column's cells, shape (n_values + 1,), equal widths.

    An integer column covers [minimum, maximum + 1): each whole number lies in one cell.
    """
    low, high = float(column.minimum or 0), float(column.maximum or 0)
    end = high + 1 if column.type == "integer" else high
    cells = n_values(column)
    found = low + (end - low) * np.arange(cells + 1) / cells
    return np.ceil(found) if column.type == "integer" else found


def encode(values: pa.ChunkedArray, column: Column) -> Codes:
    """Return each row's cell, shape (n_records,). The values must keep to the contract."""
    missing = values.is_null().to_numpy().astype(bool)
    found: Codes
    if column.type == "category":
        codes = pc.index_in(values, pa.array(column.categories, pa.string()))
        found = codes.fill_null(0).to_numpy().astype(np.int64)
    elif column.type == "boolean":
        found = values.fill_null(False).to_numpy().astype(np.int64)
    else:
        numbers = values.cast(pa.float64()).fill_null(column.minimum).to_numpy()
        inner = edges(column)[1:-1]
        found = np.searchsorted(inner, numbers, side="right").astype(np.int64)
    found[missing] = n_values(column)
    return found


def decode(codes: Codes, column: Column, sampler: np.random.Generator) -> pa.Array:
    """Return one value per code: uniform within a numeric cell, rounded to the decimals."""
    missing = codes == n_values(column)
    codes = np.where(missing, 0, codes)
    if column.type == "category":
        values = pa.array(column.categories, pa.string()).take(pa.array(codes))
    elif column.type == "boolean":
        values = pa.array(codes.astype(bool))
    else:
        values = pa.array(_numbers(codes, column, sampler))
    if not missing.any():
        return values
    return pc.if_else(pa.array(missing), pa.scalar(None, values.type), values)


def _numbers(
    codes: Codes, column: Column, sampler: np.random.Generator
) -> npt.NDArray[np.int64] | Floats:
    limits = edges(column)
    drawn = sampler.uniform(limits[codes], limits[codes + 1])
    if column.type == "integer":
        return np.clip(np.floor(drawn), column.minimum, column.maximum).astype(np.int64)
    rounded: Floats = np.clip(np.round(drawn, column.decimals), column.minimum, column.maximum)
    return rounded
