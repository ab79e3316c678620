"""Dress for stage two: a twin wears exactly the Arrow schema of the real table.

A notebook that ran on the twin must not stumble over a type, a category or the order of columns
on the real data. What is compared: names, types, nullability, categories and their order (in the
fields' metadata), and that every value keeps the contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from manatee.contracts import Contract, arrow_schema
from manatee.errors import ManateeError, ProvisioningError, SchemaMismatchError
from manatee.provisioning.tables import open_source


def check_schema(found: pa.Schema, wanted: pa.Schema, *, what: str) -> None:
    """Compare schemas, categories included.

    Raises:
        SchemaMismatchError: They differ; names the first column.
    """
    if found.names != wanted.names:
        raise SchemaMismatchError(f"{what}: its columns or their order are not the contract's.")
    for field in wanted:
        mine = found.field(field.name)
        if mine.type != field.type or mine.nullable != field.nullable:
            raise SchemaMismatchError(
                f"{what}: column {field.name!r} is {mine.type}, and {field.type} is expected."
            )
        if (mine.metadata or {}).get(b"categories") != (field.metadata or {}).get(b"categories"):
            raise SchemaMismatchError(
                f"{what}: the categories of column {field.name!r}, or their order, are not the "
                "contract's."
            )


def check_dress(contract: Contract, files: Mapping[str, Path], *, folder: Path) -> None:
    """Check that twins have the contract's schemas and keep all its rules, references too.

    Args:
        contract: Whose dress is worn.
        files: Parquet files by table.
        folder: Where checked copies may lie for the moment.

    Raises:
        ProvisioningError: A twin differs from what the real table looks like. A defect of ours.
    """
    try:
        for name, path in files.items():
            found = pq.read_schema(path)
            check_schema(found, arrow_schema(contract.table(name)), what=f"the twin of {name!r}")
        open_source(files, contract, folder=folder).close()
    except ManateeError as error:
        raise ProvisioningError(
            f"the twin does not keep its contract: {error.message}",
            hint="Nothing was published. This is a defect; the budget is spent.",
        ) from error
