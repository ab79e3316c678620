"""The two reports of a run: one goes with the twin, one stays with the provider."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from manatee.contracts import Contract, n_cells
from manatee.provisioning.reports import (
    Measured,
    NoisyMarginal,
    Promise,
    Task,
    provider_report,
    shareable_report,
)
from manatee.provisioning.runs._attacked import attack
from manatee.provisioning.runs._order import Order, Progress
from manatee.provisioning.runs._private import Private, names_of
from manatee.provisioning.runs._statement import PrivacyStatement
from manatee.provisioning.tables import CountedTable


@dataclass(frozen=True)
class Pages:
    """File names to their text.

    Attributes:
        private: Computed from the real tables: they stay with the provider.
        passed: Whether no check of either report failed.
    """

    shareable: Mapping[str, str]
    private: Mapping[str, str]
    passed: bool


def promise_in(statement: PrivacyStatement) -> Promise:
    """Return what a statement promises, as reports show it; nothing for a test."""
    none = statement.stamp != ""
    return Promise(
        epsilon=None if none else statement.epsilon,
        delta=None if none else statement.delta,
        rho=None if none else statement.rho,
        unit=statement.privacy_unit,
        relation=statement.neighbouring_relation,
        mechanism=f"{statement.stamp} {statement.mechanism}".strip(),
        measured=tuple(
            Measured(item.what, item.mechanism, item.sensitivity, item.scale, item.rho)
            for item in statement.measurements
        ),
        not_protected=statement.not_protected,
    )


def part_of(contract: Contract, names: Collection[str]) -> Contract:
    """Return the contract of some of its tables; what refers to another one is left out."""
    tables = tuple(
        replace(
            table,
            references=tuple(item for item in table.references if item.table in names),
        )
        for table in contract.tables
        if table.name in names
    )
    return replace(contract, tables=tables)


def _with_what_is_missing(promise: Promise, order: Order) -> Promise:
    missing = [item.name for item in order.contract.tables if item.name not in order.tables]
    if not missing:
        return promise
    note = f"Not in this twin, nor in its reports: {', '.join(missing)}."
    return replace(promise, not_protected=(*promise.not_protected, note))


def make_reports(
    order: Order,
    source: Private,
    twin: Path,
    statement: PrivacyStatement,
    *,
    released: Sequence[Mapping[str, Any]],
    attack_twins: int,
    progress: Progress,
) -> Pages:
    """Make both reports of a finished twin.

    Args:
        order: What was asked for.
        source: The real tables; only the second report sees them, which is not made of a table
            that stays in its database: it compares rows.
        twin: The folder of the twin's files.
        statement: What was promised.
        released: The journal's answers.
        attack_twins: Twins that membership attacks are tried on; 0 for no attacks.
        progress: Told what is being done.
    """
    promise = _with_what_is_missing(promise_in(statement), order)
    files = {name: twin / f"{name}.parquet" for name in order.tables}
    sampler = np.random.default_rng()
    shareable = shareable_report(
        part_of(order.contract, order.tables),
        files,
        promise,
        measurements=_histograms(order, released),
        sampler=sampler,
    )
    pages = {"report.html": shareable.html, "report.json": shareable.numbers}
    both = [name for name in order.tables if name in names_of(source)]
    if not both or isinstance(source, CountedTable):
        return Pages(pages, {}, passed=shareable.passed)
    private = provider_report(
        part_of(order.contract, both),
        {name: source.table(name).path for name in both},
        {name: files[name] for name in both},
        promise,
        sampler=sampler,
        tasks={
            name: (Task(item.task.target, item.task.features, item.task.kind),)
            for name, item in order.synthesis.items()
            if item.task is not None
        },
        attacks=attack(
            order,
            source,
            n_twins=attack_twins,
            sampler=sampler,
            progress=lambda step, part: progress(step, part / 2),
        ),
        progress=lambda step, part: progress(step, (1 + part) / 2),
    )
    return Pages(
        pages,
        {"provider-report.html": private.html, "provider-report.json": private.numbers},
        passed=shareable.passed and private.passed,
    )


def _histograms(order: Order, released: Sequence[Mapping[str, Any]]) -> list[NoisyMarginal]:
    """Return the columns' released histograms of a contract with one table.

    Those of several tables are measured in wide tables, under other names.
    """
    if len(order.contract.tables) != 1:
        return []
    table = order.contract.only
    found = {item["what"]: item for item in released if item["kind"] == "measure"}
    return [
        NoisyMarginal(
            table.name,
            column.name,
            tuple(found[f"column {column.name}"]["answer"]),
            float(found[f"column {column.name}"]["scale"]),
        )
        for column in table.columns
        if column.cellular
        and f"column {column.name}" in found
        and len(found[f"column {column.name}"]["answer"]) == n_cells(column)
    ]
