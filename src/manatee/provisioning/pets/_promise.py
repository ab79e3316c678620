"""What is promised about rows that are treated one by one: to one row, or to one person.

Under the privacy unit `person` an epsilon of the specification is for all rows of a person: each of
the at most `max_rows_per_person` values gets its share of it. Columns and tables add up (sequential
composition), so the whole costs a person the sum of all epsilons written down.

Neighbours are tables in which all values of one row, or of all rows of one person, are others. That
there are such rows, and how many, is not hidden: the contract says `rows: public`. Rows must be
released in an order that does not depend on values (`shuffled`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from manatee.contracts import Contract, Table
from manatee.errors import ProvisioningError
from manatee.provisioning.pets._categories import Randomise
from manatee.provisioning.pets._exact import value_epsilon
from manatee.provisioning.pets._interface import Treatment
from manatee.provisioning.pets._numbers import RandomiseNumber
from manatee.provisioning.pets._plain import Suppress
from manatee.provisioning.pets._protect import Protect


@dataclass(frozen=True)
class RowPlan:
    """How the rows of one table are released.

    Attributes:
        columns: A treatment for every column.
        sample: Chance that a row stays; the same for tables that belong together.
    """

    columns: Mapping[str, Treatment]
    sample: Fraction | None = None
    protect: Protect | None = None


@dataclass(frozen=True)
class RowPromise:
    """The guarantee of one table's rows.

    Attributes:
        epsilon: Local, of all values of one privacy unit in this table; None without a guarantee.
        why_not: Why there is none; empty if there is one.
        randomised: The sum over the randomised columns alone, which is there either way.
        values: For each randomised column, the epsilon of one value and how many values of the
            unit there are: what other kinds of accounting add up.
    """

    epsilon: Fraction | None
    why_not: str
    randomised: Fraction
    values: tuple[tuple[Fraction, int], ...]


def shares(table: Table) -> int:
    """Return the rows of one privacy unit that share an epsilon of this table."""
    return table.max_rows_per_person or 1


def check_shares(table: Table, columns: Mapping[str, Treatment]) -> None:
    """Refuse treatments that give every row of a person the whole epsilon.

    Raises:
        ProvisioningError: A randomised column whose `rows` is not the table's bound.
    """
    for name, treatment in columns.items():
        if isinstance(treatment, Randomise | RandomiseNumber) and treatment.rows != shares(table):
            raise ProvisioningError(
                f"column {table.name}.{name}: its epsilon is shared by {shares(table)} row(s) of "
                f"a person, and {treatment.rows} was said.",
                hint="Say rows as in the contract's max_rows_per_person, or 1 without one.",
            )


def row_promise(contract: Contract, name: str, plan: RowPlan) -> RowPromise:
    """Return what the plan promises about a table's rows.

    Raises:
        ProvisioningError: As `check_shares`.
    """
    table = contract.table(name)
    check_shares(table, plan.columns)
    values: list[tuple[Fraction, int]] = []
    bare = 0
    for treatment in plan.columns.values():
        if isinstance(treatment, Randomise | RandomiseNumber):
            values.append((value_epsilon(treatment.epsilon, treatment.rows), treatment.rows))
        elif not isinstance(treatment, Suppress):
            bare += 1
    spent = sum((epsilon * times for epsilon, times in values), Fraction(0))
    why_not = ""
    if bare:
        why_not = f"{bare} of {len(plan.columns)} columns have none"
    elif plan.sample is not None or plan.protect is not None:
        why_not = "which rows are there depends on the rows"
    elif _chosen_by_values(contract, table):
        why_not = "which rows are there depends on values of the rows they belong to"
    return RowPromise(None if why_not else spent, why_not, spent, tuple(values))


def _chosen_by_values(contract: Contract, table: Table) -> bool:
    """Whether rows may be left out because of a person's values elsewhere.

    Rows beyond a person's bound are chosen by their values, and what belongs to them goes too. So
    a table two references from the persons loses more or fewer rows as the table between changes.
    """
    persons = contract.privacy_unit.table
    if persons is None or table.name == persons:
        return False
    leading = (link.table for link in table.references if _leads(contract, link.table))
    return next(leading, persons) != persons


def _leads(contract: Contract, name: str) -> bool:
    """Whether a table is that of the persons or refers to one that leads there."""
    return name == contract.privacy_unit.table or any(
        _leads(contract, link.table) for link in contract.table(name).references
    )


def promise_of_all(contract: Contract, plans: Mapping[str, RowPlan]) -> Fraction | None:
    """Return the local epsilon of one privacy unit over all these tables; None without one."""
    found = [row_promise(contract, name, plan).epsilon for name, plan in plans.items()]
    known = [epsilon for epsilon in found if epsilon is not None]
    return sum(known, Fraction(0)) if len(known) == len(found) else None


def promise_words(contract: Contract, promise: RowPromise) -> tuple[str, tuple[str, ...]]:
    """Return a table's guarantee in words, and what is to be known beside it."""
    whose = "all rows of one person" if contract.privacy_unit.kind == "person" else "a whole row"
    total = f"{float(promise.randomised):.12g}"
    notes = ["that a row is there, and, but for rows left out, how many there are"]
    if promise.epsilon is None:
        notes.append(f"the randomised columns together cost epsilon {total} for {whose}")
        return f"no formal guarantee for {whose}: {promise.why_not}", tuple(notes)
    if contract.privacy_unit.kind == "person":
        notes.append("tables add up: a person in several has the sum of their epsilons")
    else:
        notes.append("a person with several rows has the sum over those rows")
    return f"{total}-local differential privacy of {whose}: the sum over its columns", tuple(notes)
