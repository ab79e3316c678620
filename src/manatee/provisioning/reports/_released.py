"""What can be said about a twin from released numbers alone: it may be shown to anyone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from manatee.contracts import Contract, Table
from manatee.provisioning.attacks import cells_of, label_of, n_value_cells, on_line
from manatee.provisioning.reports._integrity import (
    LinkFinding,
    RuleFinding,
    check_links,
    check_rules,
    missing_shares,
)
from manatee.provisioning.reports._promise import Measured, Promise
from manatee.provisioning.reports._rows import SAMPLED_ROWS, Rows
from manatee.provisioning.reports._similarity import associations
from manatee.provisioning.reports._types import Codes, Floats


@dataclass(frozen=True)
class NoisyMarginal:
    """Released noisy counts of one column, on the contract's own cells.

    Attributes:
        counts: One per cell; a nullable column's missing values come last.
        sigma: Scale of the noise of each count.
    """

    table: str
    column: str
    counts: tuple[float, ...]
    sigma: float


@dataclass(frozen=True)
class ReleasedColumn:
    """A column of the twin, beside the noisy measurement where there is one.

    Attributes:
        twin: Shares of the twin's rows per cell.
        noisy: The same by the measurement; None if none was released.
        error: Standard deviation of `noisy`, by its noise.
    """

    column: str
    cells: tuple[str, ...]
    twin: tuple[float, ...]
    noisy: tuple[float, ...] | None
    error: float


@dataclass(frozen=True)
class ReleasedTable:
    """Everything about one table of the twin."""

    table: str
    rows: int
    sampled: int
    columns: tuple[ReleasedColumn, ...]
    association_columns: tuple[str, ...]
    associations: tuple[tuple[float, ...], ...]
    missing: Mapping[str, float]


@dataclass(frozen=True)
class ReleasedNumbers:
    """The shareable report's numbers."""

    dataset: str
    contract_version: int
    label: str
    promise: Promise
    tables: tuple[ReleasedTable, ...]
    rules: tuple[RuleFinding, ...]
    links: tuple[LinkFinding, ...]

    @property
    def expensive(self) -> tuple[Measured, ...]:
        """Measurements, the dearest first."""
        return tuple(sorted(self.promise.measured, key=lambda item: -item.rho))


def released_numbers(
    contract: Contract,
    twin: Mapping[str, Rows],
    promise: Promise,
    *,
    measurements: tuple[NoisyMarginal, ...],
    sampler: np.random.Generator,
) -> ReleasedNumbers:
    """Compute the shareable numbers. There is no way for the real tables to come in."""
    return ReleasedNumbers(
        dataset=contract.name,
        contract_version=contract.version,
        label=contract.label,
        promise=promise,
        tables=tuple(
            _table(table, twin[table.name], measurements, sampler) for table in contract.tables
        ),
        rules=check_rules(contract, twin),
        links=check_links(contract, twin),
    )


def _table(
    table: Table,
    rows: Rows,
    measurements: tuple[NoisyMarginal, ...],
    sampler: np.random.Generator,
) -> ReleasedTable:
    used = [column for column in table.columns if column.cellular]
    sample = rows.sample([column.name for column in used], SAMPLED_ROWS, sampler)
    noisy = {item.column: item for item in measurements if item.table == table.name}
    columns = []
    for column in used:
        released = noisy.get(column.name)
        most = (column.bins or 0) if released and column.numeric else 20
        size = n_value_cells(column, most) + int(column.nullable)
        codes = cells_of(on_line(sample[column.name], column), column, most)
        shares = _shares(np.bincount(codes, minlength=size)[:size].astype(np.float64))
        theirs, error = None, 0.0
        if released is not None and len(released.counts) == size:
            total = max(1.0, float(sum(released.counts)))
            theirs = tuple(max(0.0, count) / total for count in released.counts)
            error = released.sigma / total
        columns.append(
            ReleasedColumn(
                column.name,
                tuple(label_of(cell, column, most) for cell in range(size)),
                tuple(shares.tolist()),
                theirs,
                error,
            )
        )
    matrix = associations(sample, used)
    return ReleasedTable(
        table.name,
        rows.n_rows,
        sample.num_rows,
        tuple(columns),
        tuple(column.name for column in used),
        tuple(tuple(float(value) for value in row) for row in matrix),
        missing_shares(table, rows),
    )


def _shares(counts: Floats | Codes) -> Floats:
    return np.asarray(counts / max(1.0, float(counts.sum())), dtype=np.float64)
