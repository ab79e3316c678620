"""AIM (McKenna, Mullins, Sheldon, Miklau 2022, algorithm 2): measure what the model has wrong.

Rounds of: choose the marginal whose L1 error exceeds what its own noise would leave by most;
release it; fit anew. If a round taught less than its noise, the next ones get four times the
budget. Candidates are all pairs (and, for a task, triples around its target), weighted by how much
they share with the workload; those that would make the model too large are left out.

A candidate's score is w * (|counts - model|_1 - noise), where the model comes from released
numbers and is rounded to whole ones: a privacy unit of m rows moves it by at most w * m.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from manatee.provisioning.counting import Counter
from manatee.provisioning.estimation import (
    Clique,
    Fit,
    Measurement,
    estimate,
    pair_cells,
    pair_marginals,
    tree_cells,
)
from manatee.provisioning.noise import Budget
from manatee.provisioning.synthesis._histograms import Histogram
from manatee.provisioning.synthesis._interface import Progress

ROUNDS_PER_COLUMN = 2
"""Rounds that the budget is first planned for, per column; fewer rounds, less noise in each."""

SELECTION_SHARE = Fraction(1, 10)
"""Of every round: for the choice; the paper's share."""

MAX_TREE_CELLS = 1 << 18
"""Most cells of the model, in floats: 2 MiB."""

STEPS = 100
"""Steps of mirror descent after each round, from where the last one ended."""


def measure_adaptively(
    counter: Counter,
    histograms: dict[str, Histogram],
    workload: Mapping[Clique, float],
    total: float,
    budget: Budget,
    rho: Fraction,
    *,
    known: Sequence[Measurement] = (),
    contribution: int,
    progress: Progress,
) -> list[Measurement]:
    """Choose and release marginals until the budget is gone. Guarantee: `rho`-zCDP, all spent.

    `workload` names the candidates and their weights, above 0; `known` is what was released
    before, beside the histograms.
    """
    found: list[Measurement] = []
    if not workload:
        return found
    sizes = {name: item.size for name, item in histograms.items()}
    merges = {name: item.groups for name, item in histograms.items()}
    candidates = list(workload)
    counted = dict(zip(candidates, counter.count(candidates, merges), strict=True))
    base = [item.measurement() for item in histograms.values()] + list(known)
    fit = estimate(sizes, base, total)
    each = rho / (ROUNDS_PER_COLUMN * len(sizes))
    left = rho
    while left > 0:
        spend = left if left < 2 * each else each
        left -= spend
        cells = _cells(candidates, fit, [item.columns for item in base])
        room = MAX_TREE_CELLS * float(1 - left / rho)
        small = [item for item in candidates if cells[item] <= room]
        if not small:
            small = [min(candidates, key=cells.__getitem__)]
        chosen = _choose(small, counted, fit, workload, budget, spend, contribution)
        noisy, sigma = budget.measure(
            counted[chosen],
            spend - spend * SELECTION_SHARE,
            what=f"marginal {', '.join(chosen)}",
            sensitivity=contribution,
        )
        item = Measurement(chosen, noisy, sigma)
        base.append(item)
        found.append(item)
        before = fit.marginals.project(chosen)
        fit = estimate(sizes, base, total, iterations=STEPS, start=fit.potentials)
        learned = float(np.abs(fit.marginals.project(chosen) - before).sum())
        if learned <= _noise(spend, contribution, before.size):
            each *= 4
        progress("measured what the model had wrong", 0.3 + 0.5 * float(1 - left / rho))
    return found


def _cells(candidates: Sequence[Clique], fit: Fit, measured: Sequence[Clique]) -> dict[Clique, int]:
    """Return how many cells the model would have with each candidate measured, too."""
    sizes = fit.marginals.sizes
    pairwise = pair_cells(fit.marginals.tree, sizes)
    return {
        item: pairwise[item] if item in pairwise else tree_cells(sizes, [*measured, item])
        for item in candidates
    }


def _noise(rho: Fraction, contribution: int, n_cells: int) -> float:
    """Return the L1 error that the noise of a round leaves on average."""
    sigma = contribution / math.sqrt(2 * float(rho - rho * SELECTION_SHARE))
    return math.sqrt(2 / math.pi) * sigma * n_cells


def _choose(
    candidates: Sequence[Clique],
    counted: Mapping[Clique, np.ndarray[tuple[int, ...], np.dtype[np.int64]]],
    fit: Fit,
    workload: Mapping[Clique, float],
    budget: Budget,
    rho: Fraction,
    contribution: int,
) -> Clique:
    scores = []
    pairwise = pair_marginals(fit.marginals)
    for columns in candidates:
        found = pairwise[columns] if columns in pairwise else fit.marginals.project(columns)
        model = np.rint(found).astype(np.int64)
        wrong = int(np.abs(counted[columns] - model).sum())
        scores.append(workload[columns] * (wrong - _noise(rho, contribution, model.size)))
    index = budget.select(
        scores,
        rho * SELECTION_SHARE,
        what="choice of a marginal",
        sensitivity=contribution * max(workload[columns] for columns in candidates),
    )
    return candidates[index]


def pairs(histograms: Mapping[str, Histogram]) -> dict[Clique, float]:
    """Return every pair with the weight 1: the workload of all pairs."""
    names = list(histograms)
    return {
        (first, second): 1.0 for place, first in enumerate(names) for second in names[place + 1 :]
    }
