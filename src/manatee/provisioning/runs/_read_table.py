"""Read the one table of a contract into memory, held to it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from manatee.contracts import Contract
from manatee.errors import ContractError
from manatee.provisioning.tables import open_source


def read_table(path: Path, contract: Contract) -> pa.Table:
    """Read a CSV, Parquet or Arrow file as the contract's table.

    Raises:
        ContractError: The contract has several tables; use `tables.open_source`.
        TableError: The file cannot be read, or has no row.
        SchemaMismatchError: A rule is broken. Names table, column and rule.
    """
    if len(contract.tables) != 1:
        raise ContractError(
            f"contract {contract.name!r} has {len(contract.tables)} tables; one is expected here."
        )
    name = contract.only.name
    with open_source({name: path}, contract) as source:
        return source.table(name).read()
