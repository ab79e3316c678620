"""Numbers on a column's line, and back: see `Column`."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from manatee.contracts._arrow import arrow_type
from manatee.contracts._model import Column

Floats = npt.NDArray[np.float64]

_MICROSECONDS = 1_000_000
_EPOCH_DAY = date(1970, 1, 1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_line(values: pa.Array | pa.ChunkedArray, column: Column) -> Floats:
    """Return numeric values on the column's line, shape (n_records,); missing ones as NaN."""
    if column.type == "date":
        found = values.cast(pa.int32()).cast(pa.float64())
    elif column.type == "timestamp":
        found = pc.divide(values.cast(pa.int64()).cast(pa.float64()), float(_MICROSECONDS))
    elif pa.types.is_decimal(values.type):
        # Arrow's own cast multiplies by a power of ten, and misses the nearest float
        whole = values.cast(pa.decimal128(38, values.type.scale)).cast(pa.string())
        found = whole.cast(pa.float64())
    else:
        found = values.cast(pa.float64())
    numbers: Floats = (
        found.fill_null(np.nan).to_numpy(zero_copy_only=False).astype(np.float64)
        if isinstance(found, pa.Array)
        else found.fill_null(np.nan).to_numpy().astype(np.float64)
    )
    return numbers


def from_line(numbers: Floats, column: Column) -> pa.Array:
    """Return values for numbers on the line: in range, rounded as the column's type is."""
    inside = np.clip(numbers, column.minimum, column.maximum)
    if column.type == "float":
        return pa.array(np.clip(np.round(inside, column.decimals), column.minimum, column.maximum))
    if column.type == "decimal":
        # whole numbers of the last decimal place: exact, where a float may fall between two
        scale = 10**column.decimals
        low, high = (round((limit or 0) * scale) for limit in (column.minimum, column.maximum))
        units = np.clip(np.rint(inside * scale), low, high).astype(np.int64)
        kind = arrow_type(column)
        unscaled = pa.array(units).cast(pa.decimal128(19, 0))
        step = pa.scalar(
            Decimal(1).scaleb(-column.decimals), pa.decimal128(column.decimals + 1, column.decimals)
        )
        return pc.multiply(unscaled, step).cast(kind)
    low, high = np.ceil(column.minimum or 0), np.floor(column.maximum or 0)
    whole = np.clip(np.floor(inside), low, high).astype(np.int64)
    if column.type == "date":
        return pa.array(whole.astype(np.int32)).cast(pa.date32())
    if column.type == "timestamp":
        return pa.array(whole * _MICROSECONDS).cast(arrow_type(column))
    return pa.array(whole)


def show(number: float, column: Column) -> str:
    """Return a number on the line as a person reads it."""
    if column.type == "date":
        return (_EPOCH_DAY + timedelta(days=number)).isoformat()
    if column.type == "timestamp":
        return (_EPOCH + timedelta(seconds=number)).isoformat()
    if column.type == "integer":
        return f"{number:.0f}"
    return f"{number:.{column.decimals}f}"
