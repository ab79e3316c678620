"""MST (McKenna, Miklau, Sheldon 2021, "Winning the NIST contest", algorithm 1).

A maximum spanning tree of column pairs, one noisy selection per edge (half of what the
histograms left), then the chosen pairs themselves (the other half). A pair's score is the L1
distance between its counts and what independence would give; the latter comes from released
numbers alone, so one privacy unit of m rows changes a score by at most m. All of it is whole
numbers: exact.
"""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np

from manatee.provisioning.counting import Counter
from manatee.provisioning.estimation import Measurement
from manatee.provisioning.noise import Budget
from manatee.provisioning.synthesis._histograms import Histogram
from manatee.provisioning.synthesis._interface import Progress

SELECTION_SHARE = Fraction(1, 2)
"""Of what is spent on pairs: half on choosing them, as in the paper."""


def measure_tree(
    counter: Counter,
    histograms: dict[str, Histogram],
    total: float,
    budget: Budget,
    rho: Fraction,
    *,
    contribution: int,
    progress: Progress,
) -> list[Measurement]:
    """Choose and release a spanning tree of pairs. Guarantee: `rho`-zCDP, all of it spent."""
    names = list(histograms)
    candidates = list(itertools.combinations(names, 2))
    if not candidates:
        return []
    merges = {name: item.groups for name, item in histograms.items()}
    counted = dict(zip(candidates, counter.count(candidates, merges), strict=True))
    n_edges = len(names) - 1
    chosen = candidates
    left = rho
    if n_edges > 1:
        scores = {
            pair: dependence(counts, histograms[pair[0]], histograms[pair[1]], total)
            for pair, counts in counted.items()
        }
        chosen = _span(scores, names, budget, rho * SELECTION_SHARE, contribution)
        left = rho - rho * SELECTION_SHARE
    progress("chose pairs of columns", 0.4)
    found = []
    for pair in chosen:
        noisy, sigma = budget.measure(
            counted[pair], left / n_edges, what=f"pair {', '.join(pair)}", sensitivity=contribution
        )
        found.append(Measurement(pair, noisy, sigma))
    return found


def dependence(
    counts: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    first: Histogram,
    second: Histogram,
    total: float,
) -> float:
    """Return the L1 distance of a pair's counts from independence: private, a whole number."""
    alone = np.outer(first.merge(first.fine), second.merge(second.fine)) / total
    return float(np.abs(counts - np.rint(alone).astype(np.int64)).sum())


def _span(
    scores: dict[tuple[str, str], float],
    names: list[str],
    budget: Budget,
    rho: Fraction,
    contribution: int,
) -> list[tuple[str, str]]:
    """Join components by the pair that is likely the best, until one is left (Kruskal)."""
    component = {name: number for number, name in enumerate(names)}
    chosen: list[tuple[str, str]] = []
    n_edges = len(names) - 1
    for edge in range(n_edges):
        open_pairs = [pair for pair in scores if component[pair[0]] != component[pair[1]]]
        index = budget.select(
            [scores[pair] for pair in open_pairs],
            rho / n_edges,
            what=f"choice of pair {edge + 1}",
            sensitivity=contribution,
        )
        first, second = open_pairs[index]
        chosen.append((first, second))
        joined, kept = component[second], component[first]
        component = {name: kept if part == joined else part for name, part in component.items()}
    return chosen
