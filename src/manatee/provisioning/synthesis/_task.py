"""Synthesis for a declared task: predicting a target from features.

Marginals of pairs are the wrong measure for a task (McKenna et al. 2022 weight the workload, which
alone did not help here). What is released instead:

1. The target's histogram with half of what histograms get; its cells are then merged so that the
   target varies least within one (Fisher 1958), since squared error is what a regression pays.
2. The *anchor*, the feature that tells most about the target, by one noisy selection.
3. Triples of target, anchor and every other feature.
4. What the model has wrong elsewhere, by AIM, with the rest.

Last, the fitted triples are cleaned: a cell of at most `NOISE` standard deviations, given anchor
and feature, is taken for noise and its mass spread over the others. Steps 1 (merging) and the
cleaning are post-processing of released numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from manatee.errors import ProvisioningError
from manatee.provisioning.counting import Attribute, Counter
from manatee.provisioning.estimation import Clique, Fit, Measurement
from manatee.provisioning.noise import Budget
from manatee.provisioning.synthesis._histograms import (
    Codes,
    Floats,
    Histogram,
    Released,
    histogram,
)
from manatee.provisioning.synthesis._interface import Task
from manatee.provisioning.synthesis._mst import dependence

HISTOGRAM_SHARE = Fraction(2, 5)
TARGET_SHARE = Fraction(1, 2)
"""Of the histograms' share: for the target's own."""

ANCHOR_SHARE = Fraction(1, 50)
TRIPLE_SHARE = Fraction(23, 50)

COUNT_TO_NOISE = 3.0
"""Least mean count of a cell of a triple, in standard deviations of its noise."""

NOISE = 2.0
"""Standard deviations up to which a fitted cell of a triple is taken for noise."""

CERTAINTY = 5.0
"""How much more than its measurement a cleaned triple weighs in the last fit."""

SCALE = 1000
"""Steps in which a numeric target is counted when features are compared."""

MAX_TRIPLES = 4
"""Most triples that are measured; with more features, those of the first features named."""


def check_task(task: Task | None, attributes: Sequence[Attribute]) -> Task:
    """Return the task if it can be one.

    Raises:
        ProvisioningError: No task, or columns that the table does not have.
    """
    names = {item.name for item in attributes}
    if task is None:
        raise ProvisioningError("the mechanism `task` needs a task: a target and features.")
    unknown = [name for name in (task.target, *task.features) if name not in names]
    if unknown:
        raise ProvisioningError(
            f"the task names {unknown[0]!r}, which is no column that is measured."
        )
    if not task.features or len({task.target, *task.features}) != len(task.features) + 1:
        raise ProvisioningError("a task has one target and at least one other column as feature.")
    return task


def histogram_shares(
    task: Task, attributes: Sequence[Attribute], rho: Fraction
) -> dict[str, Fraction]:
    """Return every column's share of what histograms get: the target half, the others alike."""
    others = len(attributes) - 1
    return {
        item.name: rho * TARGET_SHARE
        if item.name == task.target
        else rho * (1 - TARGET_SHARE) / others
        for item in attributes
    }


def choose_anchor(
    counter: Counter,
    histograms: dict[str, Histogram],
    task: Task,
    total: float,
    budget: Budget,
    rho: Fraction,
    contribution: int,
) -> str:
    """Return the feature that tells most about the target. Guarantee: `rho`-zCDP.

    For a numeric target the score is by how much its sum over the rows of each cell of the feature
    is off what independence would give, summed over the cells: what a regression can gain. For
    other targets it is the L1 distance of the pair's counts from independence. All is whole
    numbers, a row's target counts at most `SCALE`, and what is expected comes from released
    numbers: a privacy unit of m rows moves a score by at most m * SCALE, or m.
    """
    merges = {name: item.groups for name, item in histograms.items()}
    wanted = [(task.target, feature) for feature in task.features]
    counted = counter.count(wanted, merges)
    target = histograms[task.target]
    places = _places(target) if target.attribute.ordered else None
    scores = []
    for (_, feature), counts in zip(wanted, counted, strict=True):
        if places is None:
            scores.append(dependence(counts, target, histograms[feature], total))
            continue
        expected = np.outer(target.merge(target.fine), _mass(histograms[feature])) / total
        sums = places @ counts - np.rint(places @ expected).astype(np.int64)
        scores.append(float(np.abs(sums).sum()))
    return task.features[
        budget.select(
            scores,
            rho,
            what="choice of the anchor",
            sensitivity=contribution * (1 if places is None else SCALE),
        )
    ]


def _mass(item: Histogram) -> Floats:
    return item.merge(item.fine)


def _places(target: Histogram) -> Codes:
    """Return where each merged cell of the target lies, from 0 to `SCALE`; 0 for missing."""
    n_values = target.attribute.n_values
    cells = np.zeros(target.attribute.n_cells)
    cells[:n_values] = (np.arange(n_values) + 0.5) / n_values
    mass = np.maximum(target.merge(np.ones(len(cells))), 1.0)
    return np.rint(SCALE * target.merge(cells) / mass).astype(np.int64)


def triples(task: Task, anchor: str) -> list[Clique]:
    """Return the marginals to measure: target, anchor and one more feature each."""
    rest = [feature for feature in task.features if feature != anchor][:MAX_TRIPLES]
    return [(task.target, anchor, feature) for feature in rest] or [(task.target, anchor)]


def merge_for_task(
    released: Released,
    attributes: Sequence[Attribute],
    task: Task,
    anchor: str,
    sigma: float,
) -> dict[str, Histogram]:
    """Return histograms with so many merged cells that the triples stand out of their noise.

    The target gets twice as many cells as a feature. With g cells a feature, and an anchor of a
    cells, a triple has 2 * a * g^2 of them; `COUNT_TO_NOISE` says how many it may have.
    """
    room = released.total / (COUNT_TO_NOISE * sigma)
    few = {item.name: item.n_cells for item in attributes}[anchor]
    cells = max(3, min(int((room / 2) ** (1 / 3)), 12))
    if few <= cells:
        cells = max(3, min(int((room / (2 * few)) ** 0.5), 12))
    found = {item.name: histogram(item, released, cells) for item in attributes}
    plain = next(item for item in attributes if item.name == task.target)
    target = histogram(plain, released, 2 * cells)
    if plain.ordered and plain.n_values > 2 * cells:
        groups = target.groups.copy()
        groups[: plain.n_values] = least_variance(target.fine[: plain.n_values], 2 * cells)
        groups[plain.n_values :] = groups[: plain.n_values].max() + 1
        target = replace(target, groups=groups)
    found[task.target] = target
    return found


def least_variance(mass: Floats, cells: int) -> Codes:
    """Return the merged cell of each cell: neighbours, with the least variance within them.

    By dynamic programming (Fisher 1958, "On grouping for maximum homogeneity").
    """
    n = len(mass)
    places = np.arange(n) + 0.5
    weight, first, second = (
        np.concatenate([[0.0], np.cumsum(mass * places**power)]) for power in range(3)
    )
    best = np.full((cells + 1, n + 1), np.inf)
    best[0, 0] = 0.0
    came = np.zeros((cells + 1, n + 1), dtype=np.int64)
    for number in range(1, cells + 1):
        for end in range(1, n + 1):
            start = np.arange(end)
            held = np.maximum(weight[end] - weight[start], 1e-9)
            within = second[end] - second[start] - (first[end] - first[start]) ** 2 / held
            costs = best[number - 1, :end] + within
            came[number, end] = int(costs.argmin())
            best[number, end] = costs[came[number, end]]
    groups = np.zeros(n, dtype=np.int64)
    end = n
    for number in range(cells, 0, -1):
        start_of = int(came[number, end])
        groups[start_of:end] = number - 1
        end = start_of
    return np.unique(groups, return_inverse=True)[1].astype(np.int64)


def cleaned(fit: Fit, measurements: Sequence[Measurement], target: str) -> list[Measurement]:
    """Return the measurements with those around the target replaced by the cleaned model."""
    found = []
    for item in measurements:
        if target not in item.columns or len(item.columns) == 1:
            found.append(item)
            continue
        axis = item.columns.index(target)
        fitted = fit.marginals.project(item.columns)
        mass = fitted.sum(axis=axis, keepdims=True)
        kept = np.where(fitted < NOISE * item.sigma, 0.0, fitted)
        left = kept.sum(axis=axis, keepdims=True)
        scaled = np.where(left > 0, kept * mass / np.where(left > 0, left, 1.0), fitted)
        found.append(Measurement(item.columns, scaled, item.sigma / CERTAINTY))
    return found
