"""How far a twin of the insurance table is from the real one: numbers, the lower the better."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from manatee.contracts import Column
from manatee.provisioning.attacks import check_verbatim

BINS = 20
"""Equal bins of every numeric column, over the range of the real table's values."""

TARGET = "charges"
FEATURES = ("age", "bmi", "smoker")

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


def numbers(table: pa.Table, column: Column) -> Floats:
    """Return a column as numbers; a category as its place in the contract's list."""
    values = table[column.name]
    if column.type == "category":
        places = {name: place for place, name in enumerate(column.categories)}
        return np.array([places[value] for value in values.to_pylist()], dtype=np.float64)
    return np.asarray(values.cast(pa.float64()).to_numpy(), dtype=np.float64)


def task_of(table: pa.Table, columns: Sequence[Column]) -> tuple[Floats, Floats]:
    """Return features, shape (n_records, n_features), and the target, shape (n_records,)."""
    known = {column.name: column for column in columns}
    features = [numbers(table, known[name]) for name in FEATURES]
    return np.column_stack(features), numbers(table, known[TARGET])


def _binned(table: pa.Table, real: pa.Table, column: Column) -> tuple[Codes, int]:
    values = numbers(table, column)
    if column.type == "category":
        return values.astype(np.int64), len(column.categories)
    theirs = numbers(real, column)
    low, high = theirs.min(), theirs.max()
    bins = min(BINS, len(np.unique(theirs)))
    places = ((values - low) / (high - low) * bins).astype(np.int64)
    return np.clip(places, 0, bins - 1), bins


def _distance(first: Codes, second: Codes, size: int) -> float:
    """Return the total variation distance of two samples of cells."""
    shares = [np.bincount(codes, minlength=size) / len(codes) for codes in (first, second)]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def _correlations(table: pa.Table, columns: Sequence[Column]) -> Floats:
    kept = [column for column in columns if column.numeric or len(column.categories) == 2]
    found = np.corrcoef([numbers(table, column) for column in kept])
    return np.asarray(found[np.triu_indices(len(kept), 1)], dtype=np.float64)


def utility(real: pa.Table, twin: pa.Table, columns: Sequence[Column]) -> dict[str, float]:
    """Return every measure but the task's.

    `one_way` and `two_way` are mean total variation distances, `correlation` the mean absolute
    error of Pearson's coefficient over pairs of numeric and two-valued columns. `verbatim NAME`
    is the share of a numeric column's values that occur in the real table, `chance NAME` what a
    twin gets that draws evenly within the contract's cells.
    """
    binned = {column.name: _binned(twin, real, column) for column in columns}
    theirs = {column.name: _binned(real, real, column) for column in columns}
    one_way = [_distance(binned[name][0], theirs[name][0], theirs[name][1]) for name in binned]
    two_way = []
    for first, second in itertools.combinations(binned, 2):
        size = theirs[second][1]
        pair = [side[first][0] * size + side[second][0] for side in (binned, theirs)]
        two_way.append(_distance(pair[0], pair[1], theirs[first][1] * size))
    error = np.abs(_correlations(twin, columns) - _correlations(real, columns))
    found = {
        "one_way": float(np.mean(one_way)),
        "two_way": float(np.mean(two_way)),
        "correlation": float(error.mean()),
    }
    numeric = {column.name for column in columns if column.numeric}
    for finding in check_verbatim(lambda name: real[name], twin, columns).findings:
        if finding.what in numeric:
            found[f"verbatim {finding.what}"] = finding.share
            found[f"chance {finding.what}"] = finding.expected
    return found
