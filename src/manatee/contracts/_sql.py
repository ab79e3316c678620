"""Constraints as SQL text, for DuckDB and PostgreSQL; the rows never leave the engine."""

from __future__ import annotations

from manatee.contracts._expressions import TOLERANCE, Node, compile_constraint
from manatee.contracts._model import Constraint, Table


def constraint_sql(constraint: Constraint, table: Table) -> str:
    """Return a condition that is true for rows that keep a constraint and false for others.

    The text is the same for DuckDB and PostgreSQL, and holds nothing but what the contract says:
    names and texts are quoted, numbers come out of Python floats.

    Raises:
        ContractError: As `compile_constraint`.
    """
    return f"COALESCE({_sql(compile_constraint(constraint, table), table)}, TRUE)"


def quoted(name: str) -> str:
    """Return an identifier in double quotes."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def literal(text: str) -> str:
    """Return a text in single quotes."""
    escaped = text.replace("'", "''")
    return f"'{escaped}'"


def _sql(node: Node, table: Table) -> str:
    match node.op:
        case "column":
            return _column(str(node.value), table)
        case "number":
            return f"CAST('{float(node.value)!r}' AS DOUBLE PRECISION)"
        case "truth":
            return "TRUE" if node.value else "FALSE"
        case "text":
            return literal(str(node.value))
        case "missing":
            return f"({quoted(str(node.value))} IS NULL)"
        case "not":
            return f"(NOT {_sql(node.parts[0], table)})"
        case "and" | "or":
            return f"({f' {node.op.upper()} '.join(_sql(part, table) for part in node.parts)})"
    left, right = (_sql(part, table) for part in node.parts)
    if node.op in {"==", "!="} and node.parts[0].kind in {"number", "date", "timestamp"}:
        sign = "<=" if node.op == "==" else ">"
        size = f"GREATEST(1.0, ABS({left}), ABS({right}))"
        return f"(ABS({left} - {right}) {sign} {TOLERANCE!r} * {size})"
    sign = {"==": "=", "!=": "<>"}.get(node.op, node.op)
    return f"({left} {sign} {right})"


def _column(name: str, table: Table) -> str:
    column = table.column(name)
    if column.type == "date":
        return f"CAST({quoted(name)} - DATE '1970-01-01' AS DOUBLE PRECISION)"
    if column.type == "timestamp":
        return f"CAST(EXTRACT(EPOCH FROM {quoted(name)}) AS DOUBLE PRECISION)"
    if column.type in {"category", "boolean"}:
        return quoted(name)
    return f"CAST({quoted(name)} AS DOUBLE PRECISION)"
