"""Measuring the tables of a plan: the one step that sees private rows.

Guarantee of `measure`: budget.rho-zCDP for the contract's privacy unit, a row or a person with all
of their rows, added or removed. Each table is counted with its parent's columns and its rows'
numbers of children beside it; a person changes at most `Link.bound` of these wide rows, whose
noise is scaled to that. The tables' costs add up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from manatee.contracts import Contract, arrow_type, literal, quoted
from manatee.errors import ProvisioningError
from manatee.provisioning.counting import BlockCounter, Counter
from manatee.provisioning.noise import Budget
from manatee.provisioning.relational._links import children
from manatee.provisioning.relational._plan import SynthesisPlan, Wide, shares, wides
from manatee.provisioning.synthesis import Progress, Synthesiser, fit
from manatee.provisioning.tables import BATCH_ROWS, CountedTable, Source

MEMORY = "512MB"
"""What DuckDB may hold while it joins; the rest goes to its temporary folder."""


def measure(
    source: Source | CountedTable,
    contract: Contract,
    plan: SynthesisPlan,
    *,
    budget: Budget,
    progress: Progress,
    folder: Path | None = None,
) -> dict[str, Synthesiser]:
    """Fit a model of every table of a plan.

    Args:
        source: The checked tables; contribution bounds hold in it. Or one table by itself that is
            counted in its database.
        contract: What they were checked against.
        plan: Which tables, by which mechanism.
        budget: Everything that is left of it is spent.
        progress: Told which table is measured.
        folder: Where coded rows and joins may lie for the while; None for the temporary folder.

    Raises:
        ProvisioningError: The plan cannot be carried out, the disk is full, or the budget is too
            small.
    """
    tables = wides(contract, plan)
    parts = shares(tables, budget.left)
    models = {}
    for number, wide in enumerate(tables):
        name = wide.link.table.name
        item = plan.tables[name]
        done = number / len(tables)

        def told(step: str, part: float, name: str = name, done: float = done) -> None:
            progress(f"{name}: {step}", done + part / len(tables))

        told("reading the table", 0.0)
        part = budget.part(parts[name])
        with _counting(source, wide, tables, folder) as counter:
            models[name] = fit(
                counter,
                mechanism=item.mechanism,
                budget=part,
                task=item.task,
                contribution=wide.link.bound,
                progress=told,
            )
        budget.join(part, where=name)
    return models


@contextmanager
def _counting(
    source: Source | CountedTable, wide: Wide, every: tuple[Wide, ...], folder: Path | None
) -> Iterator[Counter]:
    if isinstance(source, CountedTable):
        yield source.counter()  # the contract's only table: it has neither parent nor children
        return
    with BlockCounter(wide.columns, wide_rows(source, wide, every), folder=folder) as counter:
        yield counter


def wide_rows(source: Source, wide: Wide, every: tuple[Wide, ...]) -> Iterator[pa.RecordBatch]:
    """Yield a table's rows with numbers of children and the parent's columns. Private."""
    if not wide.counts and not wide.above:
        yield from source.table(wide.link.table.name).batches([column.name for column in wide.own])
        return
    types = {column.name: arrow_type(column) for column in wide.columns}
    try:
        with closing(duckdb.connect(config={"memory_limit": MEMORY, "threads": 2})) as connection:
            connection.execute("SET preserve_insertion_order = false")
            rows = connection.sql(_query(source, wide, every))
            for batch in rows.to_arrow_reader(BATCH_ROWS):
                arrays = [batch[name].cast(kind) for name, kind in types.items()]
                yield pa.RecordBatch.from_arrays(arrays, names=list(types))
    except duckdb.Error as error:
        raise ProvisioningError(
            "the tables could not be joined for counting.",
            hint="Free space in the temporary folder, or memory.",
        ) from error


def _query(source: Source, wide: Wide, every: tuple[Wide, ...]) -> str:
    link = wide.link
    chosen = [f"t.{quoted(column.name)}" for column in wide.own]
    joins: list[str] = []
    for number, child in enumerate(children(link, [other.link for other in every])):
        reference = child.parent
        if reference is None:
            continue
        names = ", ".join(quoted(name) for name in reference.columns)
        joins.append(
            # names are quoted: see contracts.quoted
            f"LEFT JOIN (SELECT {names}, COUNT(*) AS n "  # noqa: S608
            f"FROM {_file(source, child.table.name)} GROUP BY {names}) c{number} ON "
            + _equal(f"c{number}", reference.columns, "t", link.table.key)
        )
        count = f"LEAST(COALESCE(c{number}.n, 0), {child.bound})"
        chosen.append(f"{count} AS {quoted('#' + child.table.name)}")
    if link.parent is not None:
        parent = source.contract.table(link.parent.table)
        joins.append(
            f"JOIN {_file(source, parent.name)} p ON "
            + _equal("t", link.parent.columns, "p", parent.key)
        )
        chosen += [
            f"p.{quoted(column.name.removeprefix('parent:'))} AS {quoted(column.name)}"
            for column in wide.above
        ]
    table = _file(source, link.table.name)
    return f"SELECT {', '.join(chosen)} FROM {table} t {' '.join(joins)}"  # noqa: S608  # quoted


def _equal(left: str, mine: tuple[str, ...], right: str, theirs: tuple[str, ...]) -> str:
    return " AND ".join(
        f"{left}.{quoted(first)} = {right}.{quoted(second)}"
        for first, second in zip(mine, theirs, strict=True)
    )


def _file(source: Source, name: str) -> str:
    return f"read_parquet({literal(str(source.table(name).path))})"


Models = Mapping[str, Synthesiser]
"""Released numbers only: what `generate` draws from."""
