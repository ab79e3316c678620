"""Make the tables of a twin, each in the way that the specification says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from manatee.errors import ProvisioningError
from manatee.provisioning.noise import Budget
from manatee.provisioning.pets import (
    Context,
    ProjectKey,
    Pseudonym,
    RowTwin,
    dummy_tables,
    project_key,
)
from manatee.provisioning.relational import SynthesisPlan, TablePlan, generate, measure
from manatee.provisioning.runs._order import Order, Progress
from manatee.provisioning.runs._secret import derived
from manatee.provisioning.runs._statement import ColumnRecord, TableRecord
from manatee.provisioning.spec import SynthesisTable
from manatee.provisioning.synthesis import Task
from manatee.provisioning.tables import Source, write_parquet


def synthesise_tables(
    order: Order,
    source: Source,
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
    order: Order, source: Source, twin: Path, *, secret: bytes, progress: Progress
) -> list[TableRecord]:
    """Write the tables treated row by row; returns what was done to each."""
    if not order.rows:
        return []
    context = Context(_keys(order, secret))
    work = RowTwin(order.contract, order.rows, lambda name: source.table(name).batches(), context)
    found = []
    for name in order.rows:
        progress(f"treating the rows of {name}", 0.7)
        path = twin / f"{name}.parquet"
        if not write_parquet(work.rows(name), order.contract.table(name), path):
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


def _keys(order: Order, secret: bytes) -> Mapping[str, ProjectKey]:
    """Derive pseudonym keys for this purpose: another purpose gets other pseudonyms."""
    project = order.spec.purpose or order.contract.name
    names = {
        treatment.key
        for plan in order.rows.values()
        for treatment in plan.columns.values()
        if isinstance(treatment, Pseudonym)
    }
    root = derived(secret, "pseudonyms")
    return {name: project_key(root, project=project, name=name) for name in names}


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
