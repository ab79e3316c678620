"""The treatment of one column, read strictly and held against the column."""

from __future__ import annotations

from datetime import UTC, date, datetime

import yaml

from manatee.contracts import Column
from manatee.contracts import _yaml as strict
from manatee.errors import ProvisioningError
from manatee.provisioning.pets import (
    Generalise,
    Keep,
    Pseudonym,
    Randomise,
    RandomiseNumber,
    Suppress,
    Treatment,
)

_NAMES = frozenset(
    {"keep", "randomise", "laplace", "piecewise", "pseudonym", "generalise", "suppress"}
)
_GENERALISE = frozenset({"width", "cuts", "to", "bottom", "top", "groups"})


def parse_treatment(node: yaml.Node, column: Column, rows: int) -> Treatment:
    """Read `{NAME: {parameters}}`.

    Args:
        node: The treatment.
        column: What is treated.
        rows: Rows of one privacy unit, which share an epsilon.

    Raises:
        ContractError: Not exactly one treatment, or one that is wrong for the column.
    """
    found = strict.members(node, _NAMES, what="a treatment")
    if len(found) != 1:
        raise strict.refuse(node, f"column {column.name!r} needs exactly one treatment.")
    ((name, body),) = found.items()
    treatment = _treatment(name, body, column, rows)
    try:
        treatment.check(column)
    except ProvisioningError as error:
        raise strict.refuse(
            node, f"column {column.name!r}: {error.message}", hint=error.hint
        ) from error
    return treatment


def _treatment(name: str, body: yaml.Node, column: Column, rows: int) -> Treatment:
    if name == "keep":
        strict.members(body, frozenset(), what="keep")
        return Keep()
    if name == "suppress":
        parts = strict.members(body, frozenset({"with"}), what="suppress")
        return Suppress(_stand_in(parts["with"], column) if "with" in parts else None)
    if name == "pseudonym":
        return Pseudonym(strict.text(_one(body, "key", name), what="key", longest=63))
    if name == "generalise":
        return _generalise(body, column)
    epsilon = strict.number(_one(body, "epsilon", name), what="epsilon")
    if name == "randomise":
        return Randomise(epsilon, rows)
    return RandomiseNumber(epsilon, "laplace" if name == "laplace" else "piecewise", rows)


def _one(body: yaml.Node, member: str, name: str) -> yaml.Node:
    parts = strict.members(body, frozenset({member}), what=name)
    if member not in parts:
        raise strict.refuse(body, f"{name} needs {member}.")
    return parts[member]


def _stand_in(node: yaml.Node, column: Column) -> str | float:
    if column.numeric:
        return _place(node, column, what="with")
    return strict.text(node, what="with", longest=10_000)


def _place(node: yaml.Node, column: Column, *, what: str) -> float:
    """Return a number on the column's line; dates are written as 2026-01-31."""
    if column.type not in {"date", "timestamp"}:
        return strict.number(node, what=what)
    try:
        value = str(node.value)
        if column.type == "date":
            return float((date.fromisoformat(value) - date(1970, 1, 1)).days)
        return datetime.fromisoformat(value).astimezone(UTC).timestamp()
    except ValueError as error:
        raise strict.refuse(node, f"{what} must be a date or time in ISO 8601.") from error


def _generalise(body: yaml.Node, column: Column) -> Generalise:
    parts = strict.members(body, _GENERALISE, what="generalise")
    to = strict.text(parts["to"], what="to") if "to" in parts else None
    if to not in {None, "month", "year"}:
        raise strict.refuse(parts["to"], "to must be month or year.")
    cuts = strict.items(parts["cuts"], what="cuts") if "cuts" in parts else []
    groups: dict[str, tuple[str, ...]] = {}
    if "groups" in parts:
        named = strict.members(parts["groups"], frozenset(column.categories), what="groups")
        for name, node in named.items():
            items = strict.items(node, what="a group")
            groups[name] = tuple(strict.text(item, what="a category") for item in items)
    ends = {end: _place(parts[end], column, what=end) for end in ("bottom", "top") if end in parts}
    return Generalise(
        width=strict.number(parts["width"], what="width") if "width" in parts else None,
        cuts=tuple(_place(cut, column, what="a cut") for cut in cuts),
        to="month" if to == "month" else "year" if to == "year" else None,
        bottom=ends.get("bottom"),
        top=ends.get("top"),
        groups=groups,
    )
