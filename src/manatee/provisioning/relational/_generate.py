"""From fitted models to the tables of a twin: rows, keys, references, constraints.

Post-processing alone: everything here sees released numbers and the contract, never a private
table. Persons are drawn in chunks, and with each chunk everything that hangs on it, so that
memory does not grow with the twin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from manatee.contracts import Column, Contract, arrow_schema, decode, encode
from manatee.errors import ProvisioningError
from manatee.provisioning.relational._hold import hold
from manatee.provisioning.relational._keys import KeyPool, Places, fresh_column, key_values
from manatee.provisioning.relational._plan import SynthesisPlan, Wide, wides
from manatee.provisioning.relational._rules import Rules, rules_of
from manatee.provisioning.synthesis import Progress, Synthesiser

CHUNK_ROWS = 1 << 16
"""Rows of a table without parent that are drawn at once; their children come with them."""

MAX_TWIN_ROWS = 50_000_000
"""Most rows of one table of a twin; a noisy count beyond is refused rather than drawn."""

Codes = Mapping[str, Places]


@dataclass
class _Growing:
    """A table of the twin while it is drawn.

    Attributes:
        offered: Its keys, kept only if references from aside will ask for them.
    """

    wide: Wide
    model: Synthesiser
    schema: pa.Schema
    writer: pq.ParquetWriter
    rules: Rules
    fresh: Column | None
    offered: KeyPool | None
    n_rows: int = 0


def generate(
    models: Mapping[str, Synthesiser],
    contract: Contract,
    plan: SynthesisPlan,
    folder: Path,
    *,
    sampler: np.random.Generator,
    progress: Progress,
) -> dict[str, Path]:
    """Draw the twin of every table of a plan, as Parquet files.

    Args:
        models: One per table, as `measure` returned them.
        contract: Gives schemas, keys and constraints.
        plan: The plan they were measured by.
        folder: Where `TABLE.parquet` is written; what is there is replaced.
        sampler: Draws from released numbers; may be seeded, adds no privacy.
        progress: Told which table is drawn.

    Returns:
        Table names to files, in the contract's Arrow schema.

    Raises:
        ProvisioningError: A constraint that no row keeps, a key too short, too many rows.
    """
    tables = wides(contract, plan)
    asked = {ref.table for wide in tables for ref in wide.link.aside}
    files = {wide.link.table.name: folder / f"{wide.link.table.name}.parquet" for wide in tables}
    growing = {}
    try:
        for wide in tables:
            table = wide.link.table
            schema = arrow_schema(table)
            growing[table.name] = _Growing(
                wide,
                models[table.name],
                schema,
                pq.ParquetWriter(files[table.name], schema, compression="zstd"),
                rules_of(table),
                fresh_column(table),
                KeyPool() if table.name in asked else None,
            )
        for name, grown in growing.items():
            if grown.wide.link.parent is None:
                n_rows = plan.tables[name].rows or max(1, round(grown.model.total))
                _grow_root(grown, growing, n_rows, sampler, progress)
    finally:
        for grown in growing.values():
            grown.writer.close()
    return files


def _grow_root(
    grown: _Growing,
    growing: dict[str, _Growing],
    n_rows: int,
    sampler: np.random.Generator,
    progress: Progress,
) -> None:
    for start in range(0, n_rows, CHUNK_ROWS):
        progress(f"drawing the twin of {grown.wide.link.table.name}", start / n_rows)
        _grow(grown, growing, min(CHUNK_ROWS, n_rows - start), {}, {}, sampler)


def _grow(
    grown: _Growing,
    growing: dict[str, _Growing],
    n_rows: int,
    above: Codes,
    borrowed: Mapping[str, pa.Array],
    sampler: np.random.Generator,
) -> None:
    """Draw rows of one table, write them, and draw the children of each.

    `above` are codes of the parent's columns, and `borrowed` the values of the columns that refer
    to it, one per row.
    """
    if grown.n_rows + n_rows > MAX_TWIN_ROWS:
        name = grown.wide.link.table.name
        raise ProvisioningError(
            f"table {name!r} of the twin would have more than {MAX_TWIN_ROWS} rows.",
            hint="Say `rows` in the spec, or lower the contract's bound of rows per person.",
        )
    if n_rows == 0:
        return
    rows = hold(
        n_rows,
        lambda places: _draw(grown, places, above, sampler),
        grown.rules.kept,
        sampler,
        table=grown.wide.link.table.name,
    )
    rows = _with_keys(grown, growing, rows, borrowed, sampler)
    counts = [rows.column(column.name) for column in grown.wide.counts]
    table = rows.select(grown.schema.names).cast(grown.schema)
    grown.writer.write_table(table)
    grown.n_rows += n_rows
    if grown.offered is not None:
        grown.offered.add(grown.wide.link.table, table)
    for column, numbers in zip(grown.wide.counts, counts, strict=True):
        child = growing[column.name.removeprefix("#")]
        _grow_children(child, growing, table, numbers.to_numpy().astype(np.int64), sampler)


def _grow_children(
    child: _Growing,
    growing: dict[str, _Growing],
    parents: pa.Table,
    counts: Places,
    sampler: np.random.Generator,
) -> None:
    parent = child.wide.link.parent
    if parent is None:
        raise ProvisioningError("a table without parent hangs on one.")
    owners = np.repeat(np.arange(parents.num_rows), counts)
    for start in range(0, len(owners), CHUNK_ROWS):
        some = owners[start : start + CHUNK_ROWS]
        taken = parents.take(pa.array(some))
        above = {
            column.name: encode(taken[column.name.removeprefix("parent:")], column)
            for column in child.wide.above
        }
        keys = _key_columns(growing, parent.table)
        borrowed = {
            mine: taken[theirs].combine_chunks()
            for mine, theirs in zip(parent.columns, keys, strict=True)
        }
        _grow(child, growing, len(some), above, borrowed, sampler)


def _key_columns(growing: dict[str, _Growing], name: str) -> tuple[str, ...]:
    return growing[name].wide.link.table.key


def _draw(grown: _Growing, places: Places, above: Codes, sampler: np.random.Generator) -> pa.Table:
    """Draw rows at these places: cellular columns and numbers of children."""
    if above:
        given = {name: codes[places] for name, codes in above.items()}
        codes = grown.model.draw_given(given, sampler)
    else:
        codes = grown.model.draw(len(places), sampler)
    columns = grown.wide.own + grown.wide.counts
    arrays = [decode(codes[column.name], column, sampler) for column in columns]
    return grown.rules.derive(pa.table(arrays, names=[column.name for column in columns]))


def _with_keys(
    grown: _Growing,
    growing: dict[str, _Growing],
    rows: pa.Table,
    borrowed: Mapping[str, pa.Array],
    sampler: np.random.Generator,
) -> pa.Table:
    """Add identifiers: fresh keys, the parent's, keys from aside; all others stay missing."""
    table = grown.wide.link.table
    found: dict[str, pa.Array] = dict(borrowed)
    if grown.fresh is not None:
        places = np.arange(grown.n_rows, grown.n_rows + rows.num_rows)
        found[grown.fresh.name] = key_values(grown.fresh, places)
    for reference in grown.wide.link.aside:
        pool = growing[reference.table].offered if reference.table in growing else None
        if pool is None:
            raise ProvisioningError(
                f"table {table.name!r} refers to {reference.table!r}, which is not synthesised "
                "with it.",
                hint="Synthesise both.",
            )
        keys = pool.pick(_key_columns(growing, reference.table), rows.num_rows, sampler)
        found |= dict(zip(reference.columns, keys, strict=True))
    for field in arrow_schema(table):
        if field.name in rows.column_names and field.name not in found:
            continue
        values = found.get(field.name)
        if values is None:
            values = pa.nulls(rows.num_rows, field.type)
        if field.name in rows.column_names:
            rows = rows.drop_columns([field.name])
        rows = rows.append_column(field.name, values)
    return rows
