"""Which columns a source must have: those of the contract, in any order, and no other."""

from __future__ import annotations

from collections.abc import Iterable

from manatee.contracts import Table
from manatee.errors import SchemaMismatchError


def check_columns(found: Iterable[str], table: Table) -> None:
    """Hold a source's column names, repeated ones included, to the contract.

    Raises:
        SchemaMismatchError: A column is missing, there twice, or not in the contract.
    """
    names = list(found)
    present = set(names)
    wanted = [column.name for column in table.columns]
    missing = [name for name in wanted if name not in present]
    where = f"table {table.name!r}"
    if missing:
        raise SchemaMismatchError(f"{where}: column {missing[0]!r} of the contract is missing.")
    if len(names) != len(wanted):
        # a column the contract does not know is not named: in a file without a header line the
        # "names" are the first person's values
        twice = (
            [name for name in wanted if names.count(name) > 1] if len(present) < len(names) else []
        )
        what = f"column {twice[0]!r} is there twice" if twice else "the contract does not name all"
        raise SchemaMismatchError(
            f"{where}: {len(names)} columns where {len(wanted)} are named: {what}."
        )
