"""Write down what a run has promised and spent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import pyarrow.parquet as pq

from manatee.budgets import BudgetLedger, epsilon_of, rounded_up
from manatee.contracts import contract_digest
from manatee.provisioning.noise import Budget
from manatee.provisioning.runs._order import Order
from manatee.provisioning.runs._statement import (
    ACCOUNTING,
    NOT_PRIVATE,
    RANDOMNESS,
    BudgetRecord,
    PrivacyStatement,
    TableRecord,
    measurement_records,
    not_protected,
    unit_words,
)
from manatee.provisioning.spec import delta_warnings

MECHANISMS = {
    "mst": "MST on merged cells (McKenna, Miklau, Sheldon 2021)",
    "aim": "AIM on merged cells (McKenna, Mullins, Sheldon, Miklau 2022)",
    "task": "adaptive measurements chosen for a declared task",
}


def make_statement(
    order: Order,
    budget: Budget | None,
    others: Sequence[TableRecord],
    *,
    twin: Path,
    data_digest: str,
    ledger: BudgetLedger | None,
    stamp: str,
    versions: Mapping[str, str],
    public_rows: Mapping[str, int] | None = None,
) -> PrivacyStatement:
    """Return the statement of a twin.

    Args:
        order: What was asked for.
        budget: What the synthesis has spent; None if nothing was synthesised.
        others: What was done to all other tables.
        twin: The folder of the twin's Parquet files.
        data_digest: Keyed digest of the private tables.
        ledger: Tells where the data set's budget stands; None: unknown.
        stamp: As printed.
        versions: Of the software.
        public_rows: Rows of private tables whose number the contract says is public.
    """
    kind = order.contract.privacy_unit.kind
    unit, relation = unit_words(
        kind, treated=bool(order.rows), drawn=bool(order.synthesis) or not order.rows
    )
    costs = [order.row_cost(name) for name in order.rows]
    unbounded = None in costs
    tables = [*_synthesised(order, unit), *others]
    mechanisms = dict.fromkeys(MECHANISMS[plan.mechanism] for plan in order.synthesis.values())
    epsilon, delta, rho = _total(order, budget, [cost for cost in costs if cost])
    counted = {
        name: pq.read_metadata(twin / f"{name}.parquet").num_rows
        for name, plan in order.synthesis.items()
        if plan.rows is None
    }
    return PrivacyStatement(
        stamp=NOT_PRIVATE if stamp else "",
        dataset=order.contract.name,
        contract_digest=contract_digest(order.contract),
        data_digest=data_digest,
        mechanism="; ".join(mechanisms) or "treatments of columns",
        privacy_unit=unit,
        neighbouring_relation=relation,
        epsilon=None if unbounded else epsilon,
        delta=None if unbounded else delta,
        rho=None if unbounded else rho,
        local_epsilon=_local(order),
        accounting=ACCOUNTING,
        randomness="fixed in advance" if stamp else RANDOMNESS,
        measurements=() if budget is None else measurement_records(budget),
        tables=tuple(tables),
        not_protected=not_protected(kind),
        warnings=delta_warnings(
            order.contract, order.spec, rows={**counted, **(public_rows or {})}
        ),
        budget=None if ledger is None else _budget(order.contract.name, ledger),
        versions=dict(versions),
    )


def _synthesised(order: Order, unit: str) -> list[TableRecord]:
    return [
        TableRecord(
            table=name,
            treatment=f"synthesised by {MECHANISMS[plan.mechanism]}",
            guarantee=f"covered by epsilon and delta above, for {unit}",
        )
        for name, plan in order.synthesis.items()
    ]


def _total(
    order: Order, budget: Budget | None, costs: list[Fraction]
) -> tuple[float, float, float]:
    """Return epsilon, delta and rho of the whole run; what others cost is added as the ledger does.

    Zero where nothing private was read. Local guarantees are pure: alone they need no delta, and
    beside a synthesis the smaller of two true bounds is told, zCDP's and the plain sum.
    """
    rho = rounded_up(sum(costs, budget.spent if budget else Fraction(0)))
    local = _local(order) or 0.0
    if budget is None or order.epsilon is None or order.delta is None:
        return local, 0.0, rho
    if not costs:
        return float(order.epsilon), order.delta, rho
    together = epsilon_of([*costs, budget.spent], delta=order.delta)
    return min(together, math.nextafter(order.epsilon + local, math.inf)), order.delta, rho


def _local(order: Order) -> float | None:
    epsilon = order.local_epsilon if order.rows else None
    return None if epsilon is None else rounded_up(epsilon)


def _budget(dataset: str, ledger: BudgetLedger) -> BudgetRecord:
    spent = ledger.spent(dataset)
    return BudgetRecord(
        limit_epsilon=spent.limit.epsilon,
        limit_delta=spent.limit.delta,
        spent_epsilon=spent.epsilon,
        spent_rho=float(spent.rho),
        releases=spent.charges,
        unbounded_releases=spent.unbounded,
        ledger_head=ledger.head(),
    )
