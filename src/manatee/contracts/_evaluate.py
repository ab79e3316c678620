"""Constraints evaluated on Arrow tables: which rows keep them, and columns that follow."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from manatee.contracts._expressions import TOLERANCE, Node, compile_constraint
from manatee.contracts._lines import Floats, from_line, to_line
from manatee.contracts._model import NUMERIC_TYPES, Constraint, Table
from manatee.errors import ContractError

Mask = npt.NDArray[np.bool_]


def kept(constraint: Constraint, table: Table, rows: pa.Table) -> Mask:
    """Return which rows keep a constraint, shape (n_records,); a missing operand keeps it.

    Raises:
        ContractError: As `compile_constraint`.
    """
    found = _value(compile_constraint(constraint, table), table, rows)
    return np.asarray(found != 0.0)


def columns_of(constraint: Constraint, table: Table) -> frozenset[str]:
    """Return the names of the columns that a constraint reads."""
    return compile_constraint(constraint, table).columns()


def follows(constraint: Constraint, table: Table) -> str | None:
    """Return the column that a constraint `column == …` determines; None for any other."""
    node = compile_constraint(constraint, table)
    if constraint.given is not None or node.op != "==":
        return None
    left, right = node.parts
    if left.op != "column" or str(left.value) in right.columns():
        return None
    column = table.column(str(left.value))
    return column.name if column.type in NUMERIC_TYPES else None


def derive(constraint: Constraint, table: Table, rows: pa.Table) -> pa.Array:
    """Return the values of the column that `follows` names, computed from the others.

    A value out of the column's range comes out at its end: the row then breaks the constraint.

    Raises:
        ContractError: The constraint determines no column.
    """
    name = follows(constraint, table)
    if name is None:
        raise ContractError(f"constraint {constraint.name!r} determines no column.")
    numbers = _value(compile_constraint(constraint, table).parts[1], table, rows)
    missing = np.isnan(numbers)
    column = table.column(name)
    # a whole number computed in floats may lie a hair below itself
    settled = np.where(missing, column.minimum or 0.0, numbers) + (
        TOLERANCE if column.type in {"integer", "date", "timestamp"} else 0.0
    )
    values = from_line(settled, column)
    if not missing.any():
        return values
    return pc.if_else(pa.array(missing), pa.scalar(None, values.type), values)


def _value(node: Node, table: Table, rows: pa.Table) -> Floats:
    """Return a node's value per row: numbers on their line, truth as 0 and 1, unknown as NaN."""
    match node.op:
        case "column":
            return _column(str(node.value), table, rows)
        case "number" | "truth":
            return np.full(rows.num_rows, float(node.value))
        case "missing":
            nulls = rows[str(node.value)].is_null().to_numpy().astype(np.float64)
            return np.asarray(nulls)
        case "not":
            return 1.0 - _value(node.parts[0], table, rows)
        case "and" | "or":
            return _logic(node, table, rows)
        case "+" | "-" | "*":
            left, right = (_value(part, table, rows) for part in node.parts)
            return _ARITHMETIC[node.op](left, right)
    return _compare(node, table, rows)


def _column(name: str, table: Table, rows: pa.Table) -> Floats:
    column = table.column(name)
    values = rows[name]
    if column.type == "boolean":
        return np.asarray(values.cast(pa.uint8()).cast(pa.float64()).fill_null(np.nan).to_numpy())
    return to_line(values, column)


_ARITHMETIC: dict[str, Callable[[Floats, Floats], Floats]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
}


def _logic(node: Node, table: Table, rows: pa.Table) -> Floats:
    """Kleene's logic: false wins over unknown in `and`, true in `or`."""
    parts = np.stack([_value(part, table, rows) for part in node.parts])
    unknown = np.isnan(parts).any(axis=0)
    if node.op == "and":
        certain = (parts == 0.0).any(axis=0)
        return np.where(certain, 0.0, np.where(unknown, np.nan, 1.0))
    certain = (parts == 1.0).any(axis=0)
    return np.where(certain, 1.0, np.where(unknown, np.nan, 0.0))


def _compare(node: Node, table: Table, rows: pa.Table) -> Floats:
    left, right = node.parts
    if left.kind == "text":
        equal = pc.equal(_text(left, rows), _text(right, rows))
        found = np.asarray(equal.cast(pa.uint8()).cast(pa.float64()).fill_null(np.nan).to_numpy())
        return found if node.op == "==" else 1.0 - found
    first, second = _value(left, table, rows), _value(right, table, rows)
    unknown = np.isnan(first) | np.isnan(second)
    size = np.maximum(1.0, np.maximum(np.abs(first), np.abs(second)))
    near = np.abs(first - second) <= TOLERANCE * size
    truth = {
        "==": near,
        "!=": ~near,
        "<": first < second,
        "<=": first <= second,
        ">": first > second,
        ">=": first >= second,
    }[node.op]
    return np.where(unknown, np.nan, truth.astype(np.float64))


def _text(node: Node, rows: pa.Table) -> pa.ChunkedArray:
    if node.op == "column":
        return rows[str(node.value)]
    return pa.chunked_array([pa.repeat(str(node.value), rows.num_rows)])
