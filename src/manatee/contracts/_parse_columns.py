"""Reading the columns of a data contract."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import get_args

import yaml

from manatee.contracts import _yaml as strict
from manatee.contracts._model import Column, Sensitivity

MAX_COLUMNS = 5000
"""Most columns of all tables together; more is a file of another kind than a table of persons."""

MAX_CATEGORIES = 10_000
"""Most categories of a column: noise is drawn for each of them."""

MAX_BINS = 1000
DEFAULT_BINS = 16
"""Equal-width cells of a numeric column whose contract names no number."""

MAX_UNITS = 2**53 - 1
"""Greatest decimal, counted in its last place: beyond it, the line's 64-bit floats skip values."""

MAX_TEXT = 1_000_000
_EPOCH = date(1970, 1, 1)

_COMMON = frozenset({"name", "type", "description", "nullable", "sensitivity"})
_NUMERIC = _COMMON | {"unit", "range", "bins"}
_MEMBERS: dict[str, frozenset[str]] = {
    "integer": _NUMERIC,
    "decimal": _NUMERIC | {"decimals"},
    "float": _NUMERIC | {"decimals"},
    "date": _NUMERIC - {"unit"},
    "timestamp": _NUMERIC - {"unit"},
    "category": _COMMON | {"categories", "other"},
    "boolean": _COMMON,
    "text": _COMMON | {"max_length"},
    "identifier": _COMMON | {"max_length", "holds"},
}
_EVERY = frozenset().union(*_MEMBERS.values())

Found = dict[str, yaml.Node]


def parse_columns(node: yaml.Node, *, first_format: bool = False) -> tuple[Column, ...]:
    """Parse the list of a table's columns.

    Args:
        node: The list.
        first_format: Whether it is of format 1, whose `decimal` is today's `float`.

    Raises:
        ContractError: Names the place and the rule.
    """
    nodes = strict.items(node, what="columns")
    if not 1 <= len(nodes) <= MAX_COLUMNS:
        raise strict.refuse(node, f"columns must be 1 to {MAX_COLUMNS}.")
    columns: dict[str, Column] = {}
    for item in nodes:
        column = _column(item, first_format=first_format)
        if column.name in columns:
            raise strict.refuse(item, f"column {column.name!r} is there twice.")
        columns[column.name] = column
    return tuple(columns.values())


def _column(node: yaml.Node, *, first_format: bool) -> Column:
    found = strict.members(node, _EVERY, what="a column")
    for member in ("name", "type"):
        if member not in found:
            raise strict.refuse(node, f"a column misses {member!r}.")
    name = strict.text(found["name"], what="a column's name", longest=100)
    kind = strict.text(found["type"], what="type")
    if first_format and kind == "decimal":
        kind = "float"
    if kind not in _MEMBERS:
        raise strict.refuse(found["type"], f"type must be one of {', '.join(_MEMBERS)}.")
    for member, value in found.items():
        if member not in _MEMBERS[kind]:
            raise strict.refuse(value, f"a column of type {kind} has no {member!r}.")
    column = Column(
        name=name,
        type=kind,  # type: ignore[arg-type]  # checked against the same names above
        description=_optional_text(found, "description"),
        nullable="nullable" in found and strict.boolean(found["nullable"], what="nullable"),
        sensitivity=_sensitivity(found),
    )
    return _READERS.get(kind, _plain)(node, found, column)


def _optional_text(found: Found, member: str) -> str:
    return strict.text(found[member], what=member) if member in found else ""


def _sensitivity(found: Found) -> Sensitivity:
    if "sensitivity" not in found:
        return "none"
    written = strict.text(found["sensitivity"], what="sensitivity")
    for known in get_args(Sensitivity):
        if written == known:
            return known  # type: ignore[no-any-return]
    raise strict.refuse(
        found["sensitivity"], f"sensitivity must be one of {', '.join(get_args(Sensitivity))}."
    )


def _plain(_node: yaml.Node, _found: Found, column: Column) -> Column:
    return column


def _category(node: yaml.Node, found: Found, column: Column) -> Column:
    if "categories" not in found:
        raise strict.refuse(node, f"column {column.name!r} misses 'categories'.")
    nodes = strict.items(found["categories"], what="categories")
    if not 1 <= len(nodes) <= MAX_CATEGORIES:
        raise strict.refuse(
            found["categories"],
            f"categories must be 1 to {MAX_CATEGORIES}.",
            hint="List the common ones and let `other` stand for the rest.",
        )
    values = tuple(strict.text(item, what="a category", longest=200) for item in nodes)
    if len(set(values)) != len(values):
        raise strict.refuse(found["categories"], "each category must be named once.")
    other = None
    if "other" in found:
        other = strict.text(found["other"], what="other", longest=200)
        if other not in values:
            raise strict.refuse(found["other"], "other must be one of the categories.")
    return replace(column, categories=values, other=other)


def _length(node: yaml.Node, found: Found, column: Column) -> Column:
    holds = "text"
    if "holds" in found:
        holds = strict.text(found["holds"], what="holds")
        if holds not in {"integer", "text"}:
            raise strict.refuse(found["holds"], "holds must be integer or text.")
    if holds == "integer":
        if "max_length" in found:
            raise strict.refuse(found["max_length"], "a whole number has no max_length.")
        return replace(column, holds="integer")
    if "max_length" not in found:
        raise strict.refuse(node, f"column {column.name!r} misses 'max_length'.")
    longest = strict.integer(found["max_length"], what="max_length")
    if not 1 <= longest <= MAX_TEXT:
        raise strict.refuse(found["max_length"], f"max_length must be 1 to {MAX_TEXT}.")
    return replace(column, max_length=longest)


def _numeric(node: yaml.Node, found: Found, column: Column) -> Column:
    if "range" not in found:
        raise strict.refuse(node, f"column {column.name!r} misses 'range'.")
    limits = strict.items(found["range"], what="range")
    if len(limits) != 2:
        raise strict.refuse(found["range"], "range must be [minimum, maximum].")
    read = _LIMITS.get(column.type, _number)
    low, high = (read(limit) for limit in limits)
    if not low < high:
        raise strict.refuse(found["range"], "range must go from the lesser to the greater.")
    bins = DEFAULT_BINS
    if "bins" in found:
        bins = strict.integer(found["bins"], what="bins")
        if not 1 <= bins <= MAX_BINS:
            raise strict.refuse(found["bins"], f"bins must be 1 to {MAX_BINS}.")
    if column.type in {"integer", "date", "timestamp"}:
        bins = min(bins, int(high - low) + 1)
    decimals = 0
    if column.type in {"decimal", "float"}:
        decimals = strict.integer(found["decimals"], what="decimals") if "decimals" in found else 2
        if not 0 <= decimals <= 9:
            raise strict.refuse(found["decimals"], "decimals must be 0 to 9.")
    if column.type == "decimal":
        if max(abs(low), abs(high)) * 10**decimals > MAX_UNITS:
            raise strict.refuse(
                found["range"],
                "a decimal has at most 2**53-1 units of its last place.",
                hint="Use fewer decimals, a smaller range, or the type float.",
            )
        bins = min(bins, round((high - low) * 10**decimals) + 1)
    unit = _optional_text(found, "unit")
    return replace(column, minimum=low, maximum=high, bins=bins, decimals=decimals, unit=unit)


def _number(node: yaml.Node) -> float:
    return strict.number(node, what="a limit of the range")


def _whole(node: yaml.Node) -> float:
    return float(strict.integer(node, what="a limit of the range"))


def _date(node: yaml.Node) -> float:
    try:
        return float((date.fromisoformat(str(node.value)) - _EPOCH).days)
    except ValueError as error:
        raise strict.refuse(node, "a limit must be a date.", hint="As in 2026-01-31.") from error


def _moment(node: yaml.Node) -> float:
    try:
        found = datetime.fromisoformat(str(node.value))
    except ValueError as error:
        raise strict.refuse(
            node, "a limit must be a time stamp.", hint="As in 2026-01-31T00:00:00Z."
        ) from error
    if found.tzinfo is None or found.microsecond:
        raise strict.refuse(node, "a limit must be in whole seconds and say its time zone.")
    try:
        return found.astimezone(UTC).timestamp()
    except OverflowError as error:
        raise strict.refuse(node, "a limit must lie in the years 1 to 9999, in UTC.") from error


_LIMITS: dict[str, Callable[[yaml.Node], float]] = {
    "integer": _whole,
    "date": _date,
    "timestamp": _moment,
}
_READERS: dict[str, Callable[[yaml.Node, Found, Column], Column]] = {
    "category": _category,
    "text": _length,
    "identifier": _length,
    "integer": _numeric,
    "decimal": _numeric,
    "float": _numeric,
    "date": _numeric,
    "timestamp": _numeric,
}
