"""Which table hangs on which: the line from every table to the table of persons.

A *parent* is the referenced table that leads to the table of persons; a child row belongs to the
parent row that its key names. Other references of a table lead aside: they are kept valid in a
twin, and nothing about them is measured.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from manatee.contracts import Contract, ForeignKey, Table
from manatee.errors import ProvisioningError


@dataclass(frozen=True)
class Link:
    """A table and the reference that leads towards persons.

    Attributes:
        parent: None for the table of persons, and for every table where the unit is the row.
        aside: References that lead elsewhere.
        bound: Most rows of one privacy unit in this table; 1 where a row is the unit.
    """

    table: Table
    parent: ForeignKey | None
    aside: tuple[ForeignKey, ...]
    bound: int


def links(contract: Contract, names: Iterable[str]) -> tuple[Link, ...]:
    """Return the links of the named tables, parents first.

    Raises:
        ProvisioningError: A table does not lead to persons, or leads there through a table that
            is not among the named; or tables refer to one another where the unit is the row, so
            that removing one row would remove others.
    """
    wanted = set(names)
    ordered = [table for table in contract.tables if table.name in wanted]
    if contract.privacy_unit.kind == "row":
        return tuple(_row_link(table, contract) for table in ordered)
    persons = contract.privacy_unit.table
    found: dict[str, Link] = {}
    for table in ordered:
        found[table.name] = _person_link(table, persons, found)
    return tuple(found.values())


def _row_link(table: Table, contract: Contract) -> Link:
    mentioned = any(
        reference.table == table.name for other in contract.tables for reference in other.references
    )
    if table.references or mentioned:
        raise ProvisioningError(
            f"table {table.name!r} is tied to others by keys, and the privacy unit is the row: "
            "removing one row would remove rows elsewhere.",
            hint="Name the table of persons as the contract's privacy unit, with a bound of rows "
            "per person for every other table.",
        )
    return Link(table, None, (), 1)


def _person_link(table: Table, persons: str | None, found: dict[str, Link]) -> Link:
    if table.name == persons:
        return Link(table, None, table.references, 1)
    towards = [reference for reference in table.references if reference.table in found]
    if not towards:
        raise ProvisioningError(
            f"table {table.name!r} does not lead to the table of persons, {persons!r}, through "
            "tables that are synthesised with it.",
            hint="Synthesise the tables in between as well, or treat this one by columns.",
        )
    if table.max_rows_per_person is None:
        raise ProvisioningError(f"table {table.name!r} has no bound of rows per person.")
    parent, *others = towards
    aside = tuple(reference for reference in table.references if reference is not parent)
    del others
    return Link(table, parent, aside, table.max_rows_per_person)


def children(link: Link, every: Iterable[Link]) -> tuple[Link, ...]:
    """Return the links whose parent is this table, in order."""
    return tuple(other for other in every if other.parent and other.parent.table == link.table.name)
