"""The leave that a provider gives its guests: what a run may measure for a twin report."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

from manatee.contracts import Column, Contract, Table
from manatee.errors import ProvisioningError
from manatee.provisioning.noise import rho_for
from manatee.records import Stratum, TwinComparison

MAX_VALUES = 256
"""Most values of a column whose strata are counted."""

MAX_PAIR = 64
"""Most strata of a pair of columns that is counted."""

MAX_PAIRS = 6
"""Most pairs of columns; each takes its part of the budget from all others."""

_GRAIN = 10**9


def comparison_order(
    contract: Contract, table: Table, *, epsilon: float, delta: float
) -> TwinComparison:
    """Return what a run may measure of a table: all of it follows from the contract.

    Missing values of every column that may have some, the rows of every category, and of the
    first `MAX_PAIRS` pairs of categories that have few strata.

    Args:
        contract: The data set's.
        table: One of its tables.
        epsilon: What one run's report may cost, at `delta`.
        delta: That of the data set's limit in the budget ledger.

    Raises:
        ProvisioningError: The budget means nothing, or the unit is a person and the table has no
            column that tells persons apart.
    """
    rho = Fraction(math.floor(rho_for(epsilon=epsilon, delta=delta) * _GRAIN), _GRAIN)
    if rho <= 0:
        raise ProvisioningError("the budget of a twin report is too small for any measurement.")
    counted = [column for column in table.columns if _values(column)]
    strata = [_stratum(column) for column in counted]
    pairs = [
        _stratum(*pair)
        for pair in itertools.combinations(counted, 2)
        if len(_values(pair[0])) * len(_values(pair[1])) <= MAX_PAIR
    ]
    person, most_rows = _person(contract, table)
    return TwinComparison(
        rho=f"{rho.numerator}/{rho.denominator}",
        unit=contract.privacy_unit.kind,
        person=person,
        most_rows=most_rows,
        missing=tuple(column.name for column in table.columns if column.nullable),
        strata=(*strata, *pairs[:MAX_PAIRS]),
    )


def _values(column: Column) -> tuple[str, ...]:
    if column.type == "boolean":
        return ("false", "true")
    return column.categories if len(column.categories) <= MAX_VALUES else ()


def _stratum(*columns: Column) -> Stratum:
    return Stratum(
        columns=tuple(column.name for column in columns),
        values=tuple(_values(column) for column in columns),
        other=tuple(column.other for column in columns),
    )


def _person(contract: Contract, table: Table) -> tuple[str | None, int]:
    """Return the column that tells persons apart, and how many rows of each count."""
    unit = contract.privacy_unit
    if unit.kind == "row":
        return None, 1
    if table.name == unit.table and len(table.key) == 1:
        return table.key[0], 1
    direct = [item.columns for item in table.references if item.table == unit.table]
    if len(direct) != 1 or len(direct[0]) != 1 or table.max_rows_per_person is None:
        raise ProvisioningError(
            f"a twin report on {table.name!r} cannot be kept to a price per person: the table has "
            "not one column that names the person.",
            hint="Leave the report out.",
        )
    return direct[0][0], table.max_rows_per_person
