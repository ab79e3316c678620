"""What is synthesised, by which mechanism, and with which share of the budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from manatee.contracts import Column, Contract, Table
from manatee.errors import ProvisioningError
from manatee.provisioning.relational._links import Link, children, links

if TYPE_CHECKING:
    from manatee.provisioning.synthesis import Task

Mechanism = Literal["mst", "aim", "task"]

MAX_COUNT_CELLS = 32
"""Cells of the number of children of a row; beyond, neighbouring numbers share a cell."""


@dataclass(frozen=True)
class TablePlan:
    """How one table is synthesised.

    Attributes:
        task: What the twin is to be good for; needed by the mechanism `task`.
        rows: Rows of the twin; None for as many as the (noisy) count says. Only for a table
            without parent: the rows of the others follow from it.
    """

    mechanism: Mechanism = "mst"
    task: Task | None = None
    rows: int | None = None


@dataclass(frozen=True)
class SynthesisPlan:
    """Which tables are synthesised together."""

    tables: Mapping[str, TablePlan] = field(default_factory=dict)


@dataclass(frozen=True)
class Wide:
    """A table as it is measured: its own columns, its rows' numbers of children, its parent's.

    Attributes:
        own: Columns of the contract that fall into cells.
        counts: One integer column per child table, named `#child`.
        above: The parent's own cellular columns, named `parent:column`.
    """

    link: Link
    own: tuple[Column, ...]
    counts: tuple[Column, ...]
    above: tuple[Column, ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        """All of them, in order."""
        return self.own + self.counts + self.above


def wides(contract: Contract, plan: SynthesisPlan) -> tuple[Wide, ...]:
    """Return the tables of a plan as they are measured, parents first.

    Raises:
        ProvisioningError: As `links`; or a table with nothing to measure, text that cannot be
            left out, or a number of rows where it follows from the parent's.
    """
    every = links(contract, plan.tables)
    found: list[Wide] = []
    for link in every:
        _check(link, plan.tables[link.table.name])
        counts = tuple(_count_column(child) for child in children(link, every))
        above = () if link.parent is None else _above(contract.table(link.parent.table))
        own = tuple(column for column in link.table.columns if column.cellular)
        if not own + counts:
            raise ProvisioningError(
                f"table {link.table.name!r} has no column that falls into cells.",
                hint="Treat it by columns, or make dummy data.",
            )
        found.append(Wide(link, own, counts, above))
    return tuple(found)


def _check(link: Link, plan: TablePlan) -> None:
    table = link.table
    if plan.rows is not None and link.parent is not None:
        raise ProvisioningError(
            f"table {table.name!r}: its number of rows follows from {link.parent.table!r}.",
            hint="Leave out `rows`.",
        )
    if plan.mechanism == "task" and plan.task is None:
        raise ProvisioningError(f"table {table.name!r}: the mechanism `task` needs a task.")
    for column in table.columns:
        if column.type == "text" and not column.nullable:
            raise ProvisioningError(
                f"column {table.name}.{column.name}: text cannot be synthesised, and the contract "
                "does not let it be missing.",
                hint="Make the column nullable: a twin leaves it empty.",
            )
        free = column.type == "identifier" and not _is_key(table, column.name)
        if free and not column.nullable:
            raise ProvisioningError(
                f"column {table.name}.{column.name} identifies something outside the contract, and "
                "may not be missing.",
                hint="Make it nullable, or name the table that it is a key of.",
            )


def _is_key(table: Table, name: str) -> bool:
    return name in table.key or any(name in reference.columns for reference in table.references)


def _count_column(child: Link) -> Column:
    return Column(
        name=f"#{child.table.name}",
        type="integer",
        minimum=0.0,
        maximum=float(child.bound),
        bins=min(child.bound + 1, MAX_COUNT_CELLS),
    )


def _above(parent: Table) -> tuple[Column, ...]:
    return tuple(
        replace(column, name=f"parent:{column.name}")
        for column in parent.columns
        if column.cellular
    )


def shares(tables: tuple[Wide, ...], rho: Fraction) -> dict[str, Fraction]:
    """Return each table's share of rho: by its number of measured columns.

    The shares add up to rho exactly. All tables hold rows of the same persons, so their costs
    add up (sequential composition); nothing is saved by their being separate files.
    """
    total = sum(len(table.columns) for table in tables)
    return {table.link.table.name: rho * len(table.columns) / total for table in tables}
