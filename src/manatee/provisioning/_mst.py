"""MST (McKenna, Miklau, Sheldon 2021): which marginals are measured, and with what budget.

1. Every column's histogram on the contract's cells (one third of rho).
2. A maximum spanning tree of column pairs, one noisy selection per edge (one third). A pair's
   score is the L1 distance between its counts and what independence would give; the latter comes
   from step 1 alone, so one row changes a score by at most 1.
3. The chosen pairs (one third).

Pairs are counted on *merged cells*: adjacent cells of a numeric column joined so that each holds
about the same mass by the noisy histogram of step 1. The joining is post-processing, free of
budget, and keeps pairs from drowning in noise; within a merged cell the histogram of step 1 says
where values lie.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pyarrow as pa

from manatee.provisioning._bins import Codes, Floats, encode, n_cells, n_values
from manatee.provisioning._contract import Column, Contract
from manatee.provisioning._estimate import Measurement, draw, estimate, on_simplex
from manatee.provisioning._noise import Budget

MERGED_CELLS = 6
"""Merged cells of a numeric column: few enough for pairs to stand out of the noise at epsilon 1
and a thousand rows."""

Progress = Callable[[str, float], None]
"""Told what is being done and which part of the whole is behind (0 to 1)."""


@dataclass(frozen=True)
class Histogram:
    """A column's released histogram.

    Attributes:
        fine: Noisy counts on the contract's cells, made non-negative.
        noisy: The same as released.
        groups: Merged cell of each cell.
    """

    column: Column
    noisy: Floats
    fine: Floats
    sigma: float
    groups: Codes

    @property
    def size(self) -> int:
        """Number of merged cells."""
        return int(self.groups.max()) + 1

    def merge(self, counts: Floats) -> Floats:
        """Return sums of `counts` per merged cell."""
        found = np.bincount(self.groups, weights=counts, minlength=self.size)
        return found.astype(np.float64)


@dataclass(frozen=True)
class Measured:
    """Everything that was released about the private table."""

    histograms: dict[str, Histogram]
    pairs: list[Measurement]
    total: float


def measure(table: pa.Table, contract: Contract, budget: Budget, progress: Progress) -> Measured:
    """Release MST's measurements; the only function that reads the private table.

    Guarantee: budget.rho-zCDP, one row added or removed. The whole budget is spent, exactly.
    """
    columns = contract.columns
    n_edges = len(columns) - 1
    n_choices = max(0, n_edges if len(columns) > 2 else 0)
    parts = 1 + (n_choices > 0) + (n_edges > 0)
    part = budget.rho / parts
    codes = {column.name: encode(table[column.name], column) for column in columns}
    released = _histograms(codes, columns, budget, part / len(columns))
    progress("measured every column", 0.2)
    total = _total(released, columns)
    histograms = {
        column.name: _histogram(column, *released[column.name], total) for column in columns
    }
    merged = {name: item.groups[codes[name]] for name, item in histograms.items()}
    edges = _choose(merged, histograms, total, budget, part / max(1, n_choices))
    progress("chose pairs of columns", 0.3)
    pairs = []
    for first, second in edges:
        counts = _count(merged, histograms, first, second)
        noisy, sigma = budget.measure(
            counts.ravel().tolist(), part / n_edges, what=f"pair {first}, {second}"
        )
        values = np.array(noisy, dtype=float).reshape(counts.shape)
        pairs.append(Measurement((first, second), values, sigma, np.ones(counts.shape)))
    progress("measured the pairs", 0.4)
    return Measured(histograms, pairs, total)


def _histograms(
    codes: dict[str, Codes], columns: tuple[Column, ...], budget: Budget, rho: Fraction
) -> dict[str, tuple[Floats, float]]:
    released = {}
    for column in columns:
        counts = np.bincount(codes[column.name], minlength=n_cells(column))
        noisy, sigma = budget.measure(counts.tolist(), rho, what=f"column {column.name}")
        released[column.name] = np.array(noisy, dtype=float), sigma
    return released


def _total(released: dict[str, tuple[Floats, float]], columns: tuple[Column, ...]) -> float:
    """Return the record count, the mean of all histograms' sums weighted by their variances."""
    weights = np.array([1 / (len(noisy) * sigma**2) for noisy, sigma in released.values()])
    sums = np.array([noisy.sum() for noisy, _ in released.values()])
    return max(1.0, float(weights @ sums / weights.sum()))


def _histogram(column: Column, noisy: Floats, sigma: float, total: float) -> Histogram:
    fine = on_simplex(noisy, total)
    return Histogram(column, noisy, fine, sigma, _groups(column, fine))


def _groups(column: Column, fine: Floats) -> Codes:
    """Return the merged cell of each cell; categories and missing values stay by themselves."""
    groups = np.arange(n_cells(column))
    values = n_values(column)
    if not column.numeric or values <= MERGED_CELLS:
        return groups
    mass = fine[:values]
    middle = (np.cumsum(mass) - mass / 2) / max(float(mass.sum()), 1e-9)
    wanted = np.minimum((middle * MERGED_CELLS).astype(np.int64), MERGED_CELLS - 1)
    _, joined = np.unique(wanted, return_inverse=True)
    groups[:values] = joined
    groups[values:] = joined.max() + 1
    return groups


def _count(
    merged: dict[str, Codes], histograms: dict[str, Histogram], first: str, second: str
) -> Codes:
    shape = histograms[first].size, histograms[second].size
    flat = np.bincount(merged[first] * shape[1] + merged[second], minlength=shape[0] * shape[1])
    return flat.reshape(shape)


def _choose(
    merged: dict[str, Codes],
    histograms: dict[str, Histogram],
    total: float,
    budget: Budget,
    rho: Fraction,
) -> list[tuple[str, str]]:
    names = list(histograms)
    candidates = list(itertools.combinations(names, 2))
    if len(candidates) <= 1:
        return candidates
    ways = {name: item.merge(item.fine) for name, item in histograms.items()}
    # Sensitivity: one row changes one cell of the pair's counts by one, the expectation not at
    # all (it is made of released counts and the released total): every score moves by at most 1,
    # exactly, because all of it is whole numbers.
    scores = {
        (first, second): float(
            np.abs(
                _count(merged, histograms, first, second)
                - np.rint(np.outer(ways[first], ways[second]) / total).astype(np.int64)
            ).sum()
        )
        for first, second in candidates
    }
    component = {name: number for number, name in enumerate(names)}
    chosen: list[tuple[str, str]] = []
    for edge in range(len(names) - 1):
        open_pairs = [pair for pair in candidates if component[pair[0]] != component[pair[1]]]
        index = budget.select(
            [scores[pair] for pair in open_pairs], rho, what=f"choice of pair {edge + 1}"
        )
        first, second = open_pairs[index]
        chosen.append((first, second))
        joined, kept = component[second], component[first]
        component = {name: kept if part == joined else part for name, part in component.items()}
    return chosen


def synthesise(
    measured: Measured, n_records: int, sampler: np.random.Generator
) -> dict[str, Codes]:
    """Fit the model and draw cells for a twin of `n_records` rows. Post-processing only."""
    histograms = measured.histograms
    ways = [
        Measurement(
            (name,), item.merge(item.noisy), item.sigma, item.merge(np.ones(len(item.noisy)))
        )
        for name, item in histograms.items()
    ]
    sizes = {name: item.size for name, item in histograms.items()}
    marginals = estimate(sizes, ways + measured.pairs, measured.total)
    merged = _walk(marginals, list(histograms), n_records, sampler)
    return {name: _refine(merged[name], item, sampler) for name, item in histograms.items()}


def _walk(
    marginals: dict[tuple[str, ...], Floats],
    names: list[str],
    n_records: int,
    sampler: np.random.Generator,
) -> dict[str, Codes]:
    """Draw merged cells along the tree: the first column, then each neighbour given its parent."""
    pairs = {columns: values for columns, values in marginals.items() if len(columns) == 2}
    drawn = {names[0]: draw(marginals[names[0],], n_records, sampler)}
    while len(drawn) < len(names):
        first, second = next(pair for pair in pairs if (pair[0] in drawn) != (pair[1] in drawn))
        joint = pairs[first, second] if first in drawn else pairs[first, second].T
        parent, child = (first, second) if first in drawn else (second, first)
        drawn[child] = np.empty(n_records, dtype=np.int64)
        for cell in np.unique(drawn[parent]):
            rows = np.flatnonzero(drawn[parent] == cell)
            drawn[child][rows] = draw(joint[cell], len(rows), sampler)
    return drawn


def _refine(merged: Codes, histogram: Histogram, sampler: np.random.Generator) -> Codes:
    """Draw a cell within each merged cell by the released histogram."""
    found = np.empty(len(merged), dtype=np.int64)
    for group in range(histogram.size):
        rows = np.flatnonzero(merged == group)
        cells = np.flatnonzero(histogram.groups == group)
        found[rows] = cells[draw(histogram.fine[cells], len(rows), sampler)]
    return found
