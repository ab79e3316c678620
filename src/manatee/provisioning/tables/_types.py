"""Values of a source as the contract's types: parsed from text, or cast without loss."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from manatee.contracts import Column, arrow_type
from manatee.provisioning.tables._refusals import refuse

_TEXT_FORMS: dict[str, tuple[str, str]] = {
    "integer": (r"^-?[0-9]{1,18}$", "a whole number of at most 18 digits"),
    "decimal": (r"^-?[0-9]{1,38}(\.[0-9]{1,38})?$", "a decimal number"),
    "float": (r"^-?[0-9]{1,38}(\.[0-9]{1,38})?([eE][+-]?[0-9]{1,3})?$", "a number"),
    "boolean": (r"^(true|false)$", "true or false"),
    "date": (r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "a date such as 2026-01-31"),
    "timestamp": (
        r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
        r"(Z|[+-][0-9]{2}:[0-9]{2})$",
        "a time stamp with its time zone, such as 2026-01-31T00:00:00Z",
    ),
}

_Accepts = Callable[[pa.DataType], bool]


def _number(kind: pa.DataType) -> bool:
    return bool(pt.is_integer(kind) or pt.is_floating(kind) or pt.is_decimal(kind))


def _text(kind: pa.DataType) -> bool:
    return bool(pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind))


_ACCEPTED: dict[str, _Accepts] = {
    "integer": pt.is_integer,
    "decimal": _number,
    "float": _number,
    "boolean": pt.is_boolean,
    "category": _text,
    "text": _text,
    "date": pt.is_date,
    "timestamp": pt.is_timestamp,
}


def _held(column: Column) -> str:
    """Return the type that decides how values are read; identifiers are numbers or text."""
    if column.type == "identifier":
        return "integer" if column.holds == "integer" else "text"
    return column.type


def from_text(texts: pa.Array, column: Column, table: str) -> pa.Array:
    """Return the typed values of a column of a CSV table.

    Raises:
        SchemaMismatchError: A text is not of the column's form, or does not fit its type.
    """
    form = _TEXT_FORMS.get(_held(column))
    if form is None:
        return texts
    pattern, what = form
    if not pc.all(pc.match_substring_regex(texts, pattern), min_count=0).as_py():
        raise refuse(table, column.name, f"a value is not {what}")
    return _cast(texts, column, table)


def from_typed(values: pa.Array, column: Column, table: str) -> pa.Array:
    """Return the values of a typed source as the column's type, if nothing is lost by it.

    Time stamps without a time zone are taken as UTC. A column that is all missing may have any
    type.

    Raises:
        SchemaMismatchError: Another type, or a value that does not fit.
    """
    if pt.is_dictionary(values.type):
        values = values.dictionary_decode()
    kind = values.type
    if not (pt.is_null(kind) or _ACCEPTED[_held(column)](kind)):
        raise refuse(table, column.name, f"values of type {column.type} are expected, not {kind}")
    if pt.is_floating(kind) and not pc.all(pc.is_finite(values), min_count=0).as_py():
        raise refuse(table, column.name, "a value is not a finite number")
    found = _cast(values, column, table)
    if column.type == "decimal" and pt.is_floating(kind):
        back = pc.equal(found.cast(kind), values)
        if not pc.all(back, min_count=0).as_py():
            raise refuse(table, column.name, _too_precise(column))
    return found


def _cast(values: pa.Array, column: Column, table: str) -> pa.Array:
    if pt.is_timestamp(values.type) and values.type.tz is None:
        values = values.cast(pa.timestamp(values.type.unit, tz="UTC"))
    try:
        return values.cast(arrow_type(column))
    except pa.ArrowException:
        # Arrow's message quotes the value
        rule = f"a value does not fit the type {column.type}"
        if column.type == "decimal":
            rule = _too_precise(column)
        raise refuse(table, column.name, rule) from None


def _too_precise(column: Column) -> str:
    return f"a value is too large or has more than {column.decimals} decimal places"
