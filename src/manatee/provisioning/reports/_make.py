"""Make the two reports: one to pass on, one that stays."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from markupsafe import Markup

from manatee.contracts import Contract
from manatee.provisioning.attacks import CONFIDENCE, AttackResult
from manatee.provisioning.reports._compared import ComparedNumbers, ComparedTable, compared_numbers
from manatee.provisioning.reports._figures import (
    MOST_CELLS,
    MOST_PANELS,
    attack_picture,
    columns_picture,
    matrix_picture,
    task_picture,
)
from manatee.provisioning.reports._page import render
from manatee.provisioning.reports._promise import Promise
from manatee.provisioning.reports._released import (
    NoisyMarginal,
    ReleasedTable,
    released_numbers,
)
from manatee.provisioning.reports._rows import Rows
from manatee.provisioning.reports._task import TaskLike
from manatee.provisioning.reports._types import Progress
from manatee.provisioning.reports._words import compared_verdict, released_verdict

Source: TypeAlias = pa.Table | Path
"""A typed table: in memory, or a Parquet file."""


@dataclass(frozen=True)
class Report:
    """A report as a page and as numbers.

    Attributes:
        html: One file that asks for nothing.
        numbers: The same numbers, JSON text.
        passed: Whether no check failed.
    """

    html: str
    numbers: str
    passed: bool


def shareable_report(
    contract: Contract,
    twin: Mapping[str, Source],
    promise: Promise,
    *,
    measurements: Sequence[NoisyMarginal] = (),
    sampler: np.random.Generator,
) -> Report:
    """Report on a twin from released numbers only; the result may be passed on with it.

    Args:
        contract: Public.
        twin: The twin's tables by name.
        promise: What its statement says.
        measurements: Released noisy counts of columns, if they are kept.
        sampler: Draws the rows of big tables that are looked at.
    """
    numbers = released_numbers(
        contract,
        {name: Rows(source) for name, source in twin.items()},
        promise,
        measurements=tuple(measurements),
        sampler=sampler,
    )
    pictures = {table.table: _released_pictures(table, n) for n, table in enumerate(numbers.tables)}
    html = render(
        "report.html",
        numbers=numbers,
        contract=contract,
        verdict=released_verdict(numbers),
        pictures=pictures,
        most_panels=MOST_PANELS,
    )
    passed = all(rule.broken == 0 for rule in numbers.rules)
    return Report(html, _as_json("manatee-report/1", asdict(numbers)), passed)


def _released_pictures(table: ReleasedTable, number: int) -> dict[str, Markup]:
    found: dict[str, Markup] = {}
    if table.columns:
        found["columns"] = columns_picture(
            f"t{number}-columns",
            [(c.column, c.cells, c.noisy, c.twin, c.error) for c in table.columns],
            reference="noisy measurement",
        )
    if len(table.columns) > 1:
        found["associations"] = matrix_picture(
            f"t{number}-associations",
            table.association_columns,
            [("twin", np.array(table.associations))],
            signed=True,
            title=f"How columns of the twin of {table.table} hang together",
            text="A square with one number per pair of columns, from -1 to 1.",
        )
    return found


def provider_report(
    contract: Contract,
    real: Mapping[str, Source],
    twin: Mapping[str, Source],
    promise: Promise,
    *,
    sampler: np.random.Generator,
    tasks: Mapping[str, Sequence[TaskLike]] | None = None,
    attacks: Sequence[AttackResult] = (),
    progress: Progress = lambda _step, _part: None,
) -> Report:
    """Compare a twin with the real tables. PRIVATE: neither page nor numbers may leave.

    Args:
        contract: Public.
        real: The real tables by name.
        twin: Their twins.
        promise: What the twin's statement says.
        sampler: Draws the rows of big tables that are looked at.
        tasks: What models are to predict, per table; a table not named gets the default task
            (its last column from all others), an empty list none.
        attacks: Results of membership attacks on the mechanism, if they were tried.
        progress: Told before every table.
    """
    numbers = compared_numbers(
        contract,
        {name: Rows(source) for name, source in real.items()},
        {name: Rows(source) for name, source in twin.items()},
        promise,
        tasks=tasks or {},
        attacks=attacks,
        sampler=sampler,
        progress=progress,
    )
    pictures = {table.table: _compared_pictures(table, n) for n, table in enumerate(numbers.tables)}
    html = render(
        "provider-report.html",
        numbers=numbers,
        contract=contract,
        verdict=compared_verdict(numbers),
        passed=_passed(numbers),
        pictures=pictures,
        attack_picture=attack_picture("attacks", numbers.attacks) if numbers.attacks else None,
        confidence=CONFIDENCE,
        most_panels=MOST_PANELS,
        most_cells=MOST_CELLS,
    )
    progress("report done", 1.0)
    return Report(html, _as_json("manatee-provider-report/1", asdict(numbers)), _passed(numbers))


def _passed(numbers: ComparedNumbers) -> bool:
    return not (numbers.copies or numbers.refuted or numbers.broken)


def _compared_pictures(table: ComparedTable, number: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if table.marginals:
        beyond = sorted(table.marginals, key=lambda item: -(item.tvd - item.chance))
        chosen = {item.column for item in beyond[:MOST_PANELS]}
        found["columns"] = columns_picture(
            f"t{number}-columns",
            [
                (m.column, m.cells, m.real, m.twin, 0.0)
                for m in table.marginals
                if m.column in chosen
            ],
            reference="real",
        )
    names, tvd = table.pairs.columns, np.array(table.pairs.tvd)
    if len(names) > 1:
        worst = np.sort(np.argsort(-tvd.mean(axis=0), kind="stable")[:MOST_CELLS])
        chosen_names = [names[place] for place in worst]
        found["pairs"] = matrix_picture(
            f"t{number}-pairs",
            chosen_names,
            [("distance", tvd[np.ix_(worst, worst)])],
            signed=False,
            title=f"Distances of pairs of columns of {table.table}",
            text=f"A square with one number per pair of columns; mean {table.pairs.mean:.3f}.",
        )
        real, twin = (
            np.array(matrix)[np.ix_(worst, worst)]
            for matrix in (table.associations.real, table.associations.twin)
        )
        found["associations"] = matrix_picture(
            f"t{number}-associations",
            chosen_names,
            [("real", real), ("twin", twin), ("twin less real", twin - real)],
            signed=True,
            title=f"How columns of {table.table} hang together",
            text="Three squares with one number per pair of columns, from -1 to 1: real, twin, and "
            f"the difference. Its mean size is {table.associations.mean_difference:.3f}.",
        )
    found["tasks"] = [
        task_picture(f"t{number}-task{place}", task) for place, task in enumerate(table.tasks)
    ]
    return found


def _as_json(form: str, numbers: dict[str, Any]) -> str:
    return json.dumps({"format": form, **_plain(numbers)}, indent=1, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    """Return JSON values: numbers that JSON has no sign for become null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
