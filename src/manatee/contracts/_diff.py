"""What changed between two contracts, and what that means for twins made before."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from manatee.contracts._arrow import schema_digest
from manatee.contracts._model import Contract, Table

_PLAIN_WORDS = frozenset({"description", "version"})


@dataclass(frozen=True)
class Change:
    """One change. `place` is as in `tables.people.columns.age.range`."""

    place: str
    old: str
    new: str


@dataclass(frozen=True)
class ContractDiff:
    """All changes, and the verdict on twins made under the old contract.

    Attributes:
        schema_changed: Tables whose Arrow schema differs: code written on an old twin may break.
        twins_stale: Whether an old twin no longer stands for the contract; false where only
            descriptions or the version changed.
        version_raised: Whether the new contract has a higher version, as a change needs.
    """

    changes: tuple[Change, ...]
    schema_changed: tuple[str, ...]
    twins_stale: bool
    version_raised: bool


def diff_contracts(old: Contract, new: Contract) -> ContractDiff:
    """Compare two contracts."""
    changes = tuple(_record("", old, new, nested={"tables"}) + _tables(old, new))
    before = {table.name: table for table in old.tables}
    after = {table.name: table for table in new.tables}
    changed = tuple(
        name
        for name in sorted({*before, *after})
        if name not in before
        or name not in after
        or schema_digest(before[name]) != schema_digest(after[name])
    )
    stale = any(change.place.rpartition(".")[2] not in _PLAIN_WORDS for change in changes)
    return ContractDiff(changes, changed, stale, new.version > old.version)


def _record(place: str, old: Any, new: Any, nested: set[str]) -> list[Change]:
    found = []
    for item in fields(old):
        left, right = getattr(old, item.name), getattr(new, item.name)
        if item.name not in nested and left != right:
            found.append(Change(f"{place}{item.name}", str(left), str(right)))
    return found


def _tables(old: Contract, new: Contract) -> list[Change]:
    found = _order("tables", old.tables, new.tables)
    for table in old.tables:
        for other in new.tables:
            if table.name == other.name:
                found += _columns(table, other)
    return found


def _columns(old: Table, new: Table) -> list[Change]:
    place = f"tables.{old.name}."
    found = _record(place, old, new, nested={"columns"})
    found += _order(f"{place}columns", old.columns, new.columns)
    for column in old.columns:
        for other in new.columns:
            if column.name == other.name:
                found += _record(f"{place}columns.{column.name}.", column, other, nested=set())
    return found


def _order(place: str, old: tuple[Any, ...], new: tuple[Any, ...]) -> list[Change]:
    left, right = ([item.name for item in items] for items in (old, new))
    return [] if left == right else [Change(place, ", ".join(left), ", ".join(right))]
