"""Make the tables of a twin, each in the way that the specification says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from manatee.contracts import arrow_schema
from manatee.errors import ProvisioningError
from manatee.provisioning.noise import Budget
from manatee.provisioning.pets import (
    Context,
    ProjectKey,
    RowTwin,
    dummy_tables,
    shuffled,
)
from manatee.provisioning.relational import SynthesisPlan, TablePlan, generate, measure
from manatee.provisioning.runs._order import Order, Progress
from manatee.provisioning.runs._private import Private
from manatee.provisioning.runs._statement import ColumnRecord, TableRecord
from manatee.provisioning.spec import SynthesisTable
from manatee.provisioning.synthesis import Task
from manatee.provisioning.tables import CountedTable, write_parquet


def synthesise_tables(
    order: Order,
    source: Private,
    twin: Path,
    *,
    spill: Path,
    budget: Budget,
    sampler: np.random.Generator,
    progress: Progress,
) -> None:
    """Synthesise what the specification names, into Parquet files; all of it under `budget`.

    Coded private rows lie in `spill` for the while: never in a folder that is published.
    """
    plan = SynthesisPlan({name: _plan(item) for name, item in order.synthesis.items()})
    models = measure(source, order.contract, plan, budget=budget, progress=progress, folder=spill)
    generate(models, order.contract, plan, twin, sampler=sampler, progress=progress)
    if budget.spent > budget.rho:
        raise ProvisioningError("the measurements cost more than was reserved.")


def _plan(item: SynthesisTable) -> TablePlan:
    task = None if item.task is None else Task(item.task.target, item.task.features)
    return TablePlan(item.mechanism, task, item.rows)


def treat_tables(
    order: Order,
    source: Private,
    twin: Path,
    *,
    spill: Path,
    keys: Mapping[str, ProjectKey],
    progress: Progress,
) -> list[TableRecord]:
    """Write the tables treated row by row, in an order that says nothing.

    Returns:
        What was done to each.
    """
    if not order.rows or isinstance(source, CountedTable):
        return []  # `opened` refuses to treat rows that stay in their database
    context = Context(keys)
    work = RowTwin(order.contract, order.rows, lambda name: source.table(name).batches(), context)
    found = []
    for name in order.rows:
        progress(f"treating the rows of {name}", 0.7)
        path = twin / f"{name}.parquet"
        table = order.contract.table(name)
        rows = shuffled(
            work.rows(name),
            arrow_schema(table),
            n_rows=pq.read_metadata(source.table(name).path).num_rows,
            folder=spill,
        )
        if not write_parquet(rows, table, path):
            raise ProvisioningError(f"no row of table {name!r} may be released.")
        said = work.statement(name)
        found.append(
            TableRecord(
                table=name,
                treatment="its rows, treated column by column",
                guarantee=said.row_guarantee,
                columns=tuple(
                    ColumnRecord(
                        column=item.column,
                        treatment=item.treatment,
                        guarantee=item.guarantee,
                        epsilon=item.epsilon,
                        not_protected=item.not_protected,
                        parameters=dict(item.parameters),
                        released=dict(item.released),
                    )
                    for item in said.columns
                ),
                not_protected=said.notes,
            )
        )
    return found


def make_dummies(order: Order, twin: Path, *, sampler: np.random.Generator) -> list[TableRecord]:
    """Write the dummy tables; reads nothing private."""
    made = dummy_tables(order.contract, order.dummies, sampler=sampler) if order.dummies else {}
    for name, table in made.items():
        path = twin / f"{name}.parquet"
        write_parquet(table.to_batches(), order.contract.table(name), path)
    return [
        TableRecord(
            table=name,
            treatment="dummy rows, made from the contract alone",
            guarantee="epsilon 0: nothing private was read",
        )
        for name in made
    ]
