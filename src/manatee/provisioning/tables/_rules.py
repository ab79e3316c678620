"""What the values of one column must keep to, checked batch by batch."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manatee.contracts import Column, to_line
from manatee.provisioning.tables._refusals import refuse


def settle(values: pa.Array, column: Column, table: str) -> pa.Array:
    """Return typed values that keep to the contract; unlisted categories fold into `other`.

    Raises:
        SchemaMismatchError: A value is missing, out of range, not listed, too long or no number.
    """
    if values.null_count and not column.nullable:
        raise refuse(table, column.name, "no value may be missing")
    if column.type == "category":
        return _listed(values, column, table)
    if column.numeric:
        _check_range(values, column, table)
    elif column.max_length:
        longest = pc.max(pc.utf8_length(values)).as_py()
        if longest is not None and longest > column.max_length:
            raise refuse(table, column.name, f"texts have at most {column.max_length} characters")
    return values


def _listed(values: pa.Array, column: Column, table: str) -> pa.Array:
    listed = pc.or_(pc.is_in(values, pa.array(column.categories, pa.string())), values.is_null())
    if pc.all(listed, min_count=0).as_py():
        return values
    if column.other is None:
        raise refuse(
            table,
            column.name,
            "a value is not among its categories",
            hint="Correct the table, or name a category as `other` in the contract.",
        )
    return pc.if_else(listed, values, pa.scalar(column.other, pa.string()))


def _check_range(values: pa.Array, column: Column, table: str) -> None:
    numbers = to_line(values, column)
    missing = values.is_null().to_numpy(zero_copy_only=False).astype(bool)
    if not np.isfinite(numbers[~missing]).all():
        raise refuse(table, column.name, "a value is not a finite number")
    low, high = column.minimum, column.maximum
    if low is None or high is None or not ((numbers >= low) & (numbers <= high) | missing).all():
        raise refuse(table, column.name, "a value is out of its range")
