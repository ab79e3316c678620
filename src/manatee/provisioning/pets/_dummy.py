"""Dummy tables: made from the contract alone; no private row is read, so nothing can leak.

Values are uniform over the contract's domains and independent; keys are unique, references are
valid, constraints are kept by drawing again. A seed may steer all of it: there is nothing to hide.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manatee.contracts import Column, Contract, Table, arrow_schema, arrow_type, from_line, kept
from manatee.errors import ProvisioningError

MAX_DUMMY_ROWS = 1_000_000
TRIES = 200
"""Draws per table before the constraints count as impossible to keep by chance."""

MISSING = 0.1
"""Share of missing values in columns that may have them."""

GUARANTEE = "reads no private row: epsilon 0; says nothing about the real values either"


def dummy_tables(
    contract: Contract, rows: Mapping[str, int], *, sampler: np.random.Generator
) -> dict[str, pa.Table]:
    """Return dummy tables, as many rows each as asked for.

    Raises:
        ProvisioningError: A referenced table is not among `rows`; or keys, contribution bounds
            or constraints cannot be kept.
    """
    made: dict[str, pa.Table] = {}
    for table in contract.tables:
        if table.name in rows:
            made[table.name] = _table(contract, table, rows[table.name], made, sampler)
    return made


def _table(
    contract: Contract,
    table: Table,
    n_rows: int,
    made: Mapping[str, pa.Table],
    sampler: np.random.Generator,
) -> pa.Table:
    if not 1 <= n_rows <= MAX_DUMMY_ROWS:
        raise ProvisioningError(f"a dummy table has 1 to {MAX_DUMMY_ROWS:,} rows.")
    fixed = _references(contract, table, n_rows, made, sampler)
    for name in table.key:
        column = table.column(name)
        if name not in fixed and column.type == "identifier":
            fixed[name] = _identifiers(column, n_rows)
    rows = _draw(table, n_rows, fixed, sampler)
    for _ in range(TRIES):
        wrong = _wrong(table, rows)
        if not wrong.any():
            return rows
        places = pa.array(np.flatnonzero(wrong))
        part = {name: values.take(places) for name, values in fixed.items()}
        again = _draw(table, len(places), part, sampler)
        order = np.arange(n_rows)
        order[wrong] = n_rows + np.arange(len(places))
        rows = pa.concat_tables([rows, again]).take(pa.array(order)).combine_chunks()
    raise ProvisioningError(
        f"no dummy rows of table {table.name!r} keep its key and constraints, drawn at random "
        f"{TRIES} times.",
        hint="Ask for fewer rows, or use synthesis.",
    )


def _wrong(table: Table, rows: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    wrong = np.zeros(rows.num_rows, dtype=np.bool_)
    for rule in table.constraints:
        wrong |= ~kept(rule, table, rows)
    if table.key:
        seen: set[tuple[object, ...]] = set()
        keys = zip(*(rows[name].to_pylist() for name in table.key), strict=True)
        for place, key in enumerate(keys):
            wrong[place] |= key in seen
            seen.add(key)
    return wrong


def _references(
    contract: Contract,
    table: Table,
    n_rows: int,
    made: Mapping[str, pa.Table],
    sampler: np.random.Generator,
) -> dict[str, pa.Array]:
    fixed: dict[str, pa.Array] = {}
    for link in table.references:
        if link.table not in made:
            raise ProvisioningError(f"dummy rows of {table.name!r} need those of {link.table!r}.")
        parent = made[link.table]
        bound = table.max_rows_per_person if link.table == contract.privacy_unit.table else None
        one_each = link.columns == table.key
        limit = 1 if one_each else bound
        if limit is None:
            chosen = sampler.integers(0, parent.num_rows, n_rows)
        elif parent.num_rows * limit < n_rows:
            raise ProvisioningError(
                f"table {table.name!r} has at most {limit} rows for each of {link.table!r}.",
                hint="Ask for fewer rows, or for more of the other table.",
            )
        else:
            chosen = sampler.permutation(parent.num_rows * limit)[:n_rows] % parent.num_rows
        keys = contract.table(link.table).key
        for own, other in zip(link.columns, keys, strict=True):
            fixed[own] = parent[other].combine_chunks().take(pa.array(chosen))
    return fixed


def _identifiers(column: Column, n_rows: int) -> pa.Array:
    if column.holds == "integer":
        return pa.array(np.arange(1, n_rows + 1), pa.int64())
    digits = len(str(n_rows))
    if digits > column.max_length:
        raise ProvisioningError(f"column {column.name!r} is too short for that many identifiers.")
    return pa.array([f"{place:0{digits}d}" for place in range(1, n_rows + 1)], pa.string())


def _draw(
    table: Table, n_rows: int, fixed: Mapping[str, pa.Array], sampler: np.random.Generator
) -> pa.Table:
    columns = [
        fixed[column.name] if column.name in fixed else _column(column, n_rows, sampler)
        for column in table.columns
    ]
    return pa.table(columns, schema=arrow_schema(table))


def _column(column: Column, n_rows: int, sampler: np.random.Generator) -> pa.Array:
    if column.type == "category":
        places = sampler.integers(0, len(column.categories), n_rows)
        values = pa.array(column.categories, pa.string()).take(pa.array(places))
    elif column.type == "boolean":
        values = pa.array(sampler.integers(0, 2, n_rows).astype(np.bool_))
    elif column.type == "identifier":
        values = _identifiers(column, n_rows)
    elif column.type == "text":
        values = pa.array(["text"[: column.max_length]] * n_rows, pa.string())
    else:
        whole = column.type not in {"float", "decimal"}
        high = (column.maximum or 0.0) + (1.0 if whole else 0.0)
        values = from_line(sampler.uniform(column.minimum or 0.0, high, n_rows), column)
    if not column.nullable:
        return values
    missing = pa.array(sampler.random(n_rows) < MISSING)
    return pc.if_else(missing, pa.scalar(None, arrow_type(column)), values)
