"""A contract's rules for rows as SQL text: which rows break one; no row leaves the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from manatee.contracts import Column, Table, constraint_sql, literal, quoted
from manatee.provisioning.counting._cell_sql import Dialect, line_sql

_WHOLE = {"int2", "int4", "int8", "TINYINT", "SMALLINT", "INTEGER", "BIGINT"}
_TEXT = {"text", "varchar", "VARCHAR"}
_ACCEPTED = {
    "integer": _WHOLE,
    "decimal": {*_WHOLE, "numeric", "DECIMAL"},
    "float": {*_WHOLE, "float8", "DOUBLE"},
    "boolean": {"bool", "BOOLEAN"},
    "category": _TEXT,
    "text": _TEXT,
    "date": {"date", "DATE"},
    "timestamp": {"timestamptz", "timestamp", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"},
}

_LARGEST_WHOLE = 10**18 - 1
"""Whole numbers have at most 18 digits, as in every other source."""


@dataclass(frozen=True)
class RuleSql:
    """One rule of a table.

    Attributes:
        column: Whose rule; empty for a constraint.
        rule: What a refusal says.
        broken: A condition, TRUE for rows that break the rule and never NULL.
    """

    column: str
    rule: str
    broken: str


def wrong_type(column: Column, kind: str) -> bool:
    """Return whether values of an engine's type cannot be counted as the column's.

    Args:
        column: Of the contract.
        kind: The type as the engine's driver names it, its parameters left out. Padded texts,
            single-precision numbers and an engine's own types are none: what they mean depends
            on the engine.
    """
    return kind not in _ACCEPTED[column.holds if column.type == "identifier" else column.type]


def rules_sql(table: Table, kinds: Mapping[str, str], dialect: Dialect) -> list[RuleSql]:
    """Return every rule that a row by itself may break.

    Args:
        table: Of the contract.
        kinds: The engine's type of each column, one that is not `wrong_type`.
        dialect: Of which engine.
    """
    found: list[RuleSql] = []
    for column in table.columns:
        name = quoted(column.name)
        if not column.nullable:
            found.append(RuleSql(column.name, "no value may be missing", f"({name} IS NULL)"))
        if column.type == "category":
            found += _listed(column)
        elif column.numeric:
            found += _in_range(column, kinds[column.name], dialect)
        elif kinds[column.name] in _WHOLE:
            found.append(
                RuleSql(
                    column.name,
                    "a value is not a whole number of at most 18 digits",
                    _if_there(column, f"{name} NOT BETWEEN -{_LARGEST_WHOLE} AND {_LARGEST_WHOLE}"),
                )
            )
        elif column.max_length and kinds[column.name] in _TEXT:
            rule = f"texts have at most {column.max_length} characters"
            longer = f"LENGTH({name}) > {int(column.max_length)}"
            found.append(RuleSql(column.name, rule, _if_there(column, longer)))
    for constraint in table.constraints:
        said = f"a row breaks the constraint {constraint.name!r}"
        found.append(RuleSql("", said, f"(NOT {constraint_sql(constraint, table)})"))
    return found


def _if_there(column: Column, broken: str) -> str:
    return f"(CASE WHEN {quoted(column.name)} IS NULL THEN FALSE ELSE {broken} END)"


def _listed(column: Column) -> list[RuleSql]:
    if column.other is not None:
        return []
    values = ", ".join(literal(value) for value in column.categories)
    broken = _if_there(column, f"{quoted(column.name)} NOT IN ({values})")
    return [RuleSql(column.name, "a value is not among its categories", broken)]


def _in_range(column: Column, kind: str, dialect: Dialect) -> list[RuleSql]:
    name, found = quoted(column.name), []
    if column.type == "decimal" and kind not in _WHOLE:
        rule = f"a value is too large or has more than {column.decimals} decimal places"
        rounded = f"{name} <> ROUND({name}, {int(column.decimals)})"
        found.append(RuleSql(column.name, rule, _if_there(column, rounded)))
    low, high = (
        f"CAST('{float(limit or 0)!r}' AS DOUBLE PRECISION)"
        for limit in (column.minimum, column.maximum)
    )
    number = line_sql(column)
    # not a number is above every number for both engines
    outside = f"NOT ({number} >= {low} AND {number} <= {high})"
    if column.type in {"date", "timestamp"}:
        outside = f"CASE WHEN NOT ISFINITE({name}) THEN TRUE ELSE {outside} END"
    found.append(RuleSql(column.name, "a value is out of its range", _if_there(column, outside)))
    return found
