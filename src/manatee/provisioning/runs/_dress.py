"""Dress for stage two: a twin wears exactly the Arrow schema of the real table.

A notebook that ran on the twin must not stumble over a type, a category or the order of columns
on the real data. What is compared: names, types, nullability, categories and their order (in the
fields' metadata), and that every value keeps the contract.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from manatee.contracts import Contract, PrivacyUnit, arrow_schema
from manatee.errors import ManateeError, ProvisioningError, SchemaMismatchError
from manatee.provisioning.reports import Rows, check_rules
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


def check_dress(
    contract: Contract,
    files: Mapping[str, Path],
    *,
    folder: Path,
    treated: Collection[str] = (),
) -> dict[str, dict[str, int]]:
    """Check that twins have the contract's schemas and keep all its rules, references too.

    Rows treated column by column cannot keep rules that join columns: there, rows that break a
    constraint or repeat a key are counted instead, in what is released and nothing else.

    Args:
        contract: Whose dress is worn.
        files: Parquet files by table.
        folder: Where checked copies may lie for the moment.
        treated: Tables whose rows were treated column by column.

    Returns:
        For each treated table, the rules that are broken and by how many of its released rows.

    Raises:
        ProvisioningError: A twin differs from what the real table looks like. A defect of ours.
    """
    try:
        for name, path in files.items():
            found = pq.read_schema(path)
            check_schema(found, arrow_schema(contract.table(name)), what=f"the twin of {name!r}")
        open_source(files, worn(contract, treated), folder=folder).close()
    except ManateeError as error:
        raise ProvisioningError(
            f"the twin does not keep its contract: {error.message}",
            hint="Nothing was published. This is a defect; the budget is spent.",
        ) from error
    alone = replace(
        contract,
        tables=tuple(
            replace(table, references=()) for table in contract.tables if table.name in treated
        ),
    )
    counted: dict[str, dict[str, int]] = {name: {} for name in treated}
    for rule in check_rules(alone, {name: Rows(files[name]) for name in treated}):
        if rule.broken:
            counted[rule.table][rule.rule] = rule.broken
    return counted


def worn(contract: Contract, treated: Collection[str]) -> Contract:
    """Return what a twin must keep: of treated tables, types, ranges and references among them.

    A treated table may be released without the table it refers to. A key stays one where another
    treated table refers to it: pseudonyms and kept values do not repeat.
    """
    if not treated:
        return contract
    wanted = {
        link.table
        for table in contract.tables
        if table.name in treated
        for link in table.references
    }
    return replace(
        contract,
        privacy_unit=PrivacyUnit(),
        tables=tuple(
            replace(
                table,
                max_rows_per_person=None,
                constraints=(),
                key=table.key if table.name in wanted else (),
                references=tuple(link for link in table.references if link.table in treated),
            )
            if table.name in treated
            else replace(table, max_rows_per_person=None)
            for table in contract.tables
        ),
    )
