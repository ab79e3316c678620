"""How alike two tables are: one column, two columns, and how columns hang together.

Total variation distance (TVD): the part of the rows that would have to change their cell to make
the two tables' counts alike; 0 is the same, 1 has nothing in common. Cells come from the contract.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pyarrow as pa

from manatee.contracts import Column
from manatee.provisioning.attacks import cells_of, label_of, n_value_cells, on_line
from manatee.provisioning.reports._types import Codes, Floats

PAIR_CELLS = 10
"""Most cells of a numeric column in a comparison of two columns."""


@dataclass(frozen=True)
class Marginal:
    """One column in both tables.

    Attributes:
        cells: The cells' names.
        real: Shares in the first table.
        twin: Shares in the second.
        tvd: Their distance.
        chance: The distance that two random samples of these sizes have on average.
    """

    column: str
    cells: tuple[str, ...]
    real: tuple[float, ...]
    twin: tuple[float, ...]
    tvd: float
    chance: float


@dataclass(frozen=True)
class Pairs:
    """Distances of all pairs of columns: a symmetric matrix with one-way distances inside."""

    columns: tuple[str, ...]
    tvd: tuple[tuple[float, ...], ...]
    mean: float
    chance: float


@dataclass(frozen=True)
class Associations:
    """How strongly columns hang together, in both tables and the difference.

    Pearson correlation between numbers (a column of two values counts as one), correlation ratio
    between a number and a category, Cramer's V between categories.
    """

    columns: tuple[str, ...]
    real: tuple[tuple[float, ...], ...]
    twin: tuple[tuple[float, ...], ...]
    mean_difference: float


def compare_columns(
    real: pa.Table, twin: pa.Table, columns: Sequence[Column]
) -> tuple[Marginal, ...]:
    """Compare column by column; columns without cells (texts, identifiers) are left out."""
    found = []
    for column in columns:
        if not column.cellular:
            continue
        size = n_value_cells(column) + int(column.nullable)
        first, second = (
            np.bincount(cells_of(on_line(table[column.name], column), column), minlength=size)
            for table in (real, twin)
        )
        shares = _shares(first), _shares(second)
        found.append(
            Marginal(
                column.name,
                tuple(label_of(cell, column) for cell in range(size)),
                tuple(shares[0].tolist()),
                tuple(shares[1].tolist()),
                _tvd(*shares),
                _chance(shares[0], real.num_rows, twin.num_rows),
            )
        )
    return tuple(found)


def _shares(counts: Codes) -> Floats:
    return np.asarray(counts / max(1, counts.sum()), dtype=np.float64)


def _tvd(first: Floats, second: Floats) -> float:
    return float(np.abs(first - second).sum() / 2)


def _chance(shares: Floats, n_first: int, n_second: int) -> float:
    """Return the mean distance of two samples, by a normal approximation per cell."""
    spread = np.sqrt(shares * (1 - shares) * (1 / max(1, n_first) + 1 / max(1, n_second)))
    return float(spread.sum() / np.sqrt(2 * np.pi))


def compare_pairs(real: pa.Table, twin: pa.Table, columns: Sequence[Column]) -> Pairs:
    """Compare all pairs of columns with cells."""
    used = [column for column in columns if column.cellular]
    sizes = [n_value_cells(column, PAIR_CELLS) + 1 for column in used]
    codes = [
        [cells_of(on_line(table[c.name], c), c, PAIR_CELLS) for c in used] for table in (real, twin)
    ]
    found, chances = np.zeros((len(used), len(used))), []
    for first, second in [*combinations(range(len(used)), 2), *((i, i) for i in range(len(used)))]:
        size = sizes[first] * sizes[second]
        shares = [
            _shares(np.bincount(t[first] * sizes[second] + t[second], minlength=size))
            for t in codes
        ]
        found[first, second] = found[second, first] = _tvd(*shares)
        if first != second:
            chances.append(_chance(shares[0], real.num_rows, twin.num_rows))
    above = found[np.triu_indices(len(used), 1)]
    return Pairs(
        tuple(column.name for column in used),
        _nested(found),
        float(above.mean()) if len(above) else 0.0,
        float(np.mean(chances)) if chances else 0.0,
    )


def _nested(matrix: Floats) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(value) for value in row) for row in matrix)


def compare_associations(real: pa.Table, twin: pa.Table, columns: Sequence[Column]) -> Associations:
    """Compare how all pairs of columns with cells hang together."""
    used = [column for column in columns if column.cellular]
    first, second = associations(real, used), associations(twin, used)
    above = np.abs(first - second)[np.triu_indices(len(used), 1)]
    return Associations(
        tuple(column.name for column in used),
        _nested(first),
        _nested(second),
        float(above.mean()) if len(above) else 0.0,
    )


def associations(table: pa.Table, columns: Sequence[Column]) -> Floats:
    """Return the matrix of associations, shape (n_columns, n_columns); 1 with itself."""
    lines = [on_line(table[column.name], column) for column in columns]
    found = np.eye(len(columns))
    for i, j in combinations(range(len(columns)), 2):
        known = ~(np.isnan(lines[i]) | np.isnan(lines[j]))
        x, y = lines[i][known], lines[j][known]
        numbers = _is_number(columns[i]), _is_number(columns[j])
        if all(numbers):
            value = _pearson(x, y)
        elif numbers[0]:
            value = _correlation_ratio(x, y.astype(np.int64))
        elif numbers[1]:
            value = _correlation_ratio(y, x.astype(np.int64))
        else:
            value = _cramers_v(x.astype(np.int64), y.astype(np.int64))
        found[i, j] = found[j, i] = value
    return found


def _is_number(column: Column) -> bool:
    return column.numeric or column.type == "boolean" or len(column.categories) == 2


def _pearson(x: Floats, y: Floats) -> float:
    if len(x) < 2 or x.std() == 0 or y.std() == 0:
        return 0.0
    return float(np.clip(np.corrcoef(x, y)[0, 1], -1, 1))


def _correlation_ratio(values: Floats, groups: Codes) -> float:
    if len(values) < 2 or values.std() == 0:
        return 0.0
    counts = np.bincount(groups)
    means = np.bincount(groups, weights=values) / np.maximum(counts, 1)
    between = float((counts * (means - values.mean()) ** 2).sum())
    return float(np.sqrt(min(1.0, between / (len(values) * values.var()))))


def _cramers_v(x: Codes, y: Codes) -> float:
    if not len(x):
        return 0.0
    counts = np.zeros((x.max() + 1, y.max() + 1))
    np.add.at(counts, (x, y), 1)
    counts = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
    smaller = min(counts.shape) - 1
    if smaller < 1:
        return 0.0
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    chi = float(((counts - expected) ** 2 / expected).sum())
    return float(np.sqrt(min(1.0, chi / (counts.sum() * smaller))))
