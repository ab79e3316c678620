"""Does a twin keep the contract's rules: constraints, keys, references, missing values?

Everything here looks at one set of tables and nothing else; for a twin it may be shown to anyone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manatee.contracts import Contract, Table, columns_of, kept
from manatee.provisioning.reports._rows import Rows


@dataclass(frozen=True)
class RuleFinding:
    """How many rows break one rule; 0 is required."""

    table: str
    rule: str
    broken: int


@dataclass(frozen=True)
class LinkFinding:
    """Rows of a table per row of the table it refers to."""

    table: str
    parent: str
    mean: float
    most: int
    without: float


def check_rules(contract: Contract, tables: Mapping[str, Rows]) -> tuple[RuleFinding, ...]:
    """Count the rows that break a constraint, a key or a reference, table by table."""
    found: list[RuleFinding] = []
    for table in contract.tables:
        rows = tables[table.name]
        for constraint in table.constraints:
            names = sorted(columns_of(constraint, table))
            mask = np.asarray(kept(constraint, table, rows.columns(names)), dtype=bool)
            found.append(
                RuleFinding(table.name, f"constraint {constraint.name}", int((~mask).sum()))
            )
        if table.key:
            columns = rows.columns(list(table.key))
            unique = columns.group_by(list(table.key)).aggregate([]).num_rows
            found.append(RuleFinding(table.name, "key is unique", columns.num_rows - unique))
        for reference in table.references:
            parent = contract.table(reference.table)
            dangling = _dangling(
                rows.columns(list(reference.columns)),
                tables[parent.name].columns(list(parent.key)),
            )
            found.append(RuleFinding(table.name, f"refers to {parent.name}", dangling))
    return tuple(found)


def _dangling(child: pa.Table, parent: pa.Table) -> int:
    """Return the rows whose reference is neither a parent's key nor wholly missing."""
    if child.num_columns == 1:
        there = pc.is_in(child.column(0), value_set=parent.column(0).combine_chunks())
        return int(pc.sum(pc.and_(pc.is_valid(child.column(0)), pc.invert(there))).as_py() or 0)
    names = child.column_names
    whole = child.filter(
        pa.array(~np.all([child[name].is_null().to_numpy() for name in names], axis=0))
    )
    return int(
        whole.join(
            parent.rename_columns(names).group_by(names).aggregate([]), names, join_type="left anti"
        ).num_rows
    )


def check_links(contract: Contract, tables: Mapping[str, Rows]) -> tuple[LinkFinding, ...]:
    """Describe how many rows each row of a referenced table has."""
    found = []
    for table in contract.tables:
        for reference in table.references:
            parent = contract.table(reference.table)
            names = list(reference.columns)
            child = tables[table.name].columns(names)
            sizes = child.drop_null().group_by(names).aggregate([([], "count_all")])["count_all"]
            n_parents = max(1, tables[parent.name].n_rows)
            found.append(
                LinkFinding(
                    table.name,
                    parent.name,
                    float(pc.sum(sizes).as_py() or 0) / n_parents,
                    int(pc.max(sizes).as_py() or 0),
                    max(0.0, 1 - len(sizes) / n_parents),
                )
            )
    return tuple(found)


def missing_shares(table: Table, rows: Rows) -> dict[str, float]:
    """Return the share of missing values of each nullable column."""
    return {
        column.name: rows.column(column.name).null_count / max(1, rows.n_rows)
        for column in table.columns
        if column.nullable
    }
