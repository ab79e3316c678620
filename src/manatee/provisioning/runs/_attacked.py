"""Membership attacks on the mechanism of a run, for the report that stays with the provider.

Every attacked twin is made anew from a sample of the private rows, with fresh noise, and thrown
away: nothing of it leaves but the verdicts, in the private report, so no budget is spent.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pyarrow as pa

from manatee.contracts import Column, decode
from manatee.provisioning.attacks import AttackResult, membership_attacks
from manatee.provisioning.counting import memory_counter
from manatee.provisioning.noise import Budget, rho_for
from manatee.provisioning.runs._order import Order, Progress
from manatee.provisioning.spec import SynthesisTable
from manatee.provisioning.synthesis import Task, fit
from manatee.provisioning.tables import AdmittedTable, Source

FEWEST_PERSONS = 40
MOST_PERSONS = 4000
"""Private rows that the game is played with, at most; more persons find the same."""


def attack(
    order: Order,
    source: Source,
    *,
    n_twins: int,
    sampler: np.random.Generator,
    progress: Progress,
) -> tuple[AttackResult, ...]:
    """Attack the synthesis of a contract's only table. PRIVATE results.

    Returns:
        Nothing if there is no one table of one row per person that is synthesised, or it has
        fewer than `FEWEST_PERSONS` rows: the game is not defined for those.
    """
    if len(order.contract.tables) != 1 or order.contract.privacy_unit.kind != "row":
        return ()
    plan = order.synthesis.get(order.contract.only.name)
    if plan is None or order.epsilon is None or order.delta is None or n_twins == 0:
        return ()
    columns = [column for column in order.contract.only.columns if column.cellular]
    persons = some_rows(source.table(order.contract.only.name), columns, sampler)
    if persons.num_rows < FEWEST_PERSONS:
        return ()
    rho = Fraction(rho_for(epsilon=order.epsilon, delta=order.delta))
    return tuple(
        membership_attacks(
            persons,
            columns,
            lambda table: _twin(table, columns, plan, rho, sampler),
            epsilon=order.epsilon,
            delta=order.delta,
            sampler=sampler,
            n_twins=n_twins,
            progress=progress,
        )
    )


def some_rows(
    table: AdmittedTable, columns: list[Column], sampler: np.random.Generator
) -> pa.Table:
    """Return at most `MOST_PERSONS` rows, drawn uniformly without holding the table."""
    names = [column.name for column in columns]
    total = sum(batch.num_rows for batch in table.batches(names[:1]))
    chosen = np.sort(sampler.choice(total, min(total, MOST_PERSONS), replace=False))
    pieces, start = [], 0
    for batch in table.batches(names):
        end = start + batch.num_rows
        here = chosen[(chosen >= start) & (chosen < end)] - start
        pieces.append(batch.take(pa.array(here)))
        start = end
    return pa.Table.from_batches(pieces)


def _twin(
    table: pa.Table,
    columns: list[Column],
    plan: SynthesisTable,
    rho: Fraction,
    sampler: np.random.Generator,
) -> pa.Table:
    task = None if plan.task is None else Task(plan.task.target, plan.task.features)
    counter = memory_counter(columns, {column.name: table[column.name] for column in columns})
    model = fit(counter, mechanism=plan.mechanism, budget=Budget(rho), task=task)
    codes = model.draw(max(1, round(model.total)), sampler)
    arrays = [decode(codes[column.name], column, sampler) for column in columns]
    return pa.table(arrays, names=[column.name for column in columns])
