"""Cells: how values become small codes and codes become values, from the contract alone.

No function here looks at a table to decide where a cell begins or ends.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from manatee.contracts._lines import Floats, from_line, to_line
from manatee.contracts._model import Column

Codes = npt.NDArray[Any]
"""Cells of rows: unsigned integers as small as the number of cells allows."""

_WHOLE = frozenset({"integer", "date", "timestamp"})


def n_values(column: Column) -> int:
    """Return the number of cells for values; a nullable column has one more, the last."""
    if column.type == "boolean":
        return 2
    return len(column.categories) if column.type == "category" else int(column.bins or 0)


def n_cells(column: Column) -> int:
    """Return the number of cells, the one for missing values included."""
    return n_values(column) + int(column.nullable)


def code_type(column: Column) -> npt.DTypeLike:
    """Return the smallest unsigned integer type that holds the column's cells."""
    return np.min_scalar_type(max(n_cells(column) - 1, 0))


def edges(column: Column) -> Floats:
    """Return the edges of a numeric column's cells on its line, shape (n_values + 1,).

    Cells are half open but for the last; all have equal widths, in whole numbers where values are
    whole: those cover [minimum, maximum + 1), so that each lies in one cell.
    """
    low, high = float(column.minimum or 0), float(column.maximum or 0)
    whole = column.type in _WHOLE
    cells = n_values(column)
    found = low + ((high + 1 if whole else high) - low) * np.arange(cells + 1) / cells
    return np.ceil(found) if whole else found


def encode(values: pa.Array | pa.ChunkedArray, column: Column) -> Codes:
    """Return each row's cell, shape (n_records,).

    The values must keep to the contract. A category that is not listed falls into `other`.
    """
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    missing = values.is_null().to_numpy(zero_copy_only=False).astype(bool)
    found: Codes
    if column.type == "category":
        codes = pc.index_in(values, pa.array(column.categories, pa.string()))
        rest = column.categories.index(column.other) if column.other is not None else 0
        found = codes.fill_null(rest).to_numpy().astype(code_type(column))
    elif column.type == "boolean":
        found = values.fill_null(False).to_numpy(zero_copy_only=False).astype(code_type(column))
    else:
        numbers = to_line(values, column)
        found = np.searchsorted(edges(column)[1:-1], numbers, side="right")
        found = found.astype(code_type(column))
    found[missing] = n_values(column) if column.nullable else 0
    return found


def decode(codes: Codes, column: Column, sampler: np.random.Generator) -> pa.Array:
    """Return one value per code: uniform within a numeric cell, as the column's type is rounded."""
    missing = codes == n_values(column)
    codes = np.where(missing, 0, codes).astype(np.int64)
    if column.type == "category":
        values = pa.array(column.categories, pa.string()).take(pa.array(codes))
    elif column.type == "boolean":
        values = pa.array(codes.astype(bool))
    else:
        limits = edges(column)
        values = from_line(sampler.uniform(limits[codes], limits[codes + 1]), column)
    if not missing.any():
        return values
    return pc.if_else(pa.array(missing), pa.scalar(None, values.type), values)
