"""What must hold between the parts of a contract: keys, references, the person, constraints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from manatee.contracts._expressions import compile_constraint
from manatee.contracts._model import Column, Contract, Table
from manatee.contracts._yaml import place_of
from manatee.errors import ContractError

if TYPE_CHECKING:
    import yaml


def check_contract(contract: Contract, root: yaml.Node | None = None) -> None:
    """Check a whole contract.

    Args:
        contract: Parsed, part by part.
        root: Where it was written, for the messages.

    Raises:
        ContractError: Names the table and the rule.
    """
    try:
        _check(contract)
    except ContractError as error:
        if root is None:
            raise
        raise ContractError(f"{place_of(root)}: {error.message}", hint=error.hint) from error


def _check(contract: Contract) -> None:
    seen: dict[str, Table] = {}
    for table in contract.tables:
        if table.name in seen:
            raise ContractError(f"table {table.name!r} is there twice.")
        _key(table)
        _references(table, seen)
        for constraint in table.constraints:
            compile_constraint(constraint, table)
        seen[table.name] = table
    _person(contract)


def _column(table: Table, name: str, what: str) -> Column:
    try:
        return table.column(name)
    except KeyError as error:
        raise ContractError(
            f"{what} of table {table.name!r} names {name!r}, which is no column of it."
        ) from error


def _key(table: Table) -> None:
    for name in table.key:
        column = _column(table, name, "the key")
        if column.nullable or column.type == "text":
            raise ContractError(
                f"column {table.name}.{name} cannot be part of a key: it may be missing, or is "
                "free text."
            )


def _references(table: Table, seen: dict[str, Table]) -> None:
    for reference in table.references:
        if reference.table not in seen:
            raise ContractError(
                f"table {table.name!r} refers to {reference.table!r}, which does not stand before "
                "it.",
                hint="Put referenced tables first; tables may not refer to one another in a ring.",
            )
        other = seen[reference.table]
        if not other.key or len(other.key) != len(reference.columns):
            raise ContractError(
                f"table {table.name!r} refers to {other.name!r} by {len(reference.columns)} "
                f"column(s), whose key has {len(other.key)}."
            )
        for mine, theirs in zip(reference.columns, other.key, strict=True):
            column, key = _column(table, mine, "a reference"), other.column(theirs)
            if (column.type, column.holds, column.decimals) != (key.type, key.holds, key.decimals):
                raise ContractError(
                    f"column {table.name}.{mine} is not of the type of {other.name}.{theirs}, to "
                    "which it refers."
                )


def _person(contract: Contract) -> None:
    unit = contract.privacy_unit
    if unit.kind == "row":
        for table in contract.tables:
            if table.max_rows_per_person is not None:
                raise ContractError(
                    f"table {table.name!r} bounds the rows of a person, but the privacy unit is "
                    "the row.",
                    hint="privacy_unit: {person: TABLE}",
                )
        return
    names = {table.name for table in contract.tables}
    if unit.table not in names:
        raise ContractError("the privacy unit's table is none of the contract.")
    leads = {unit.table}
    for table in contract.tables:
        if table.name == unit.table:
            if not table.key:
                raise ContractError(f"the table of persons, {table.name!r}, has no key.")
            if table.max_rows_per_person is not None:
                raise ContractError(f"table {table.name!r} has one row per person: no bound.")
            continue
        if not any(reference.table in leads for reference in table.references):
            raise ContractError(
                f"table {table.name!r} does not lead to the table of persons, {unit.table!r}.",
                hint="Name its reference, or give the table a contract of its own.",
            )
        if table.max_rows_per_person is None:
            raise ContractError(
                f"table {table.name!r} misses 'max_rows_per_person': the guarantee is for a person "
                "with at most so many rows.",
            )
        leads.add(table.name)
