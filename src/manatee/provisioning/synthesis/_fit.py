"""Fitting one flat table under a privacy budget.

Guarantee of `fit`: rho-zCDP, rho being what is left of the budget. Privacy unit: one row, or one
person with at most `contribution` rows. Neighbouring tables differ by one unit added or removed.
Noise: OpenDP's discrete Gaussian and noisy max, from the operating system's randomness. Everything
between two releases depends on released numbers and the contract alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from manatee.errors import ProvisioningError
from manatee.provisioning.counting import Attribute, Counter
from manatee.provisioning.estimation import Measurement, estimate
from manatee.provisioning.noise import Budget
from manatee.provisioning.synthesis._aim import measure_adaptively, pairs
from manatee.provisioning.synthesis._histograms import (
    MOST,
    Histogram,
    Released,
    histogram,
    n_merged,
    release,
)
from manatee.provisioning.synthesis._interface import Mechanism, Progress, Task, silent
from manatee.provisioning.synthesis._mst import measure_tree
from manatee.provisioning.synthesis._synthesiser import Synthesiser
from manatee.provisioning.synthesis._task import (
    ANCHOR_SHARE,
    TRIPLE_SHARE,
    check_task,
    choose_anchor,
    cleaned,
    histogram_shares,
    merge_for_task,
    triples,
)
from manatee.provisioning.synthesis._task import HISTOGRAM_SHARE as TASK_HISTOGRAM_SHARE

HISTOGRAM_SHARE = Fraction(1, 2)
"""Of the budget: for the columns' histograms. MST's paper says a third; a half brought columns 3 to
18% closer on three tables of 1,500 to 10,000 rows, and pairs from 10% closer to 5% further off."""


def fit(
    counter: Counter,
    *,
    mechanism: Mechanism,
    budget: Budget,
    task: Task | None = None,
    contribution: int = 1,
    progress: Progress = silent,
) -> Synthesiser:
    """Learn a table's distribution; the only function here that sees private counts.

    Args:
        counter: Counts the private table.
        mechanism: `mst`, `aim` or `task`.
        budget: All that is left of it is spent, exactly.
        task: For the mechanism `task`.
        contribution: Most rows of one privacy unit, m: every marginal has the L2 sensitivity m
            and every score m times its weight.
        progress: Told what is being done.

    Raises:
        ProvisioningError: No columns, a task that names none of them, or too small a budget.
    """
    attributes = counter.attributes
    if not attributes:
        raise ProvisioningError("a table without columns cannot be synthesised.")
    if mechanism == "task":
        check_task(task, attributes)
    rho = budget.left
    shares = _shares(attributes, rho, task if mechanism == "task" else None)
    released = release(counter, budget, shares, contribution=contribution)
    progress("measured every column", 0.2)
    run = _Run(counter, released, budget, rho, contribution, progress)
    if len(attributes) == 1:
        return run.model({item.name: histogram(item, released, MOST) for item in attributes}, [])
    if mechanism == "task" and task is not None:
        return run.task(task)
    return run.tree() if mechanism == "mst" else run.adaptive()


def _shares(
    attributes: tuple[Attribute, ...], rho: Fraction, task: Task | None
) -> dict[str, Fraction]:
    if len(attributes) == 1:
        return {attributes[0].name: rho}
    if task is not None:
        return histogram_shares(task, attributes, rho * TASK_HISTOGRAM_SHARE)
    return {item.name: rho * HISTOGRAM_SHARE / len(attributes) for item in attributes}


@dataclass(frozen=True)
class _Run:
    """One fit after the histograms; every way spends all that is left.

    Attributes:
        rho: What was left before the histograms; shares of a task are shares of it.
    """

    counter: Counter
    released: Released
    budget: Budget
    rho: Fraction
    contribution: int
    progress: Progress

    @property
    def _left(self) -> Fraction:
        return self.budget.left

    def _merged(self) -> dict[str, Histogram]:
        """Merge cells for pairs that share half of what is left, one per edge of a tree."""
        n_edges = len(self.counter.attributes) - 1
        sigma = self._sigma(self._left / 2 / n_edges)
        cells = n_merged(self.released.total, sigma)
        return {
            item.name: histogram(item, self.released, cells) for item in self.counter.attributes
        }

    def _sigma(self, rho: Fraction) -> float:
        return self.contribution / math.sqrt(2 * float(rho))

    def tree(self) -> Synthesiser:
        """MST."""
        histograms = self._merged()
        found = measure_tree(
            self.counter,
            histograms,
            self.released.total,
            self.budget,
            self._left,
            contribution=self.contribution,
            progress=self.progress,
        )
        return self.model(histograms, found)

    def adaptive(self) -> Synthesiser:
        """AIM, on all pairs."""
        histograms = self._merged()
        return self.model(histograms, self._adapt(histograms, ()))

    def _adapt(
        self, histograms: dict[str, Histogram], known: Sequence[Measurement]
    ) -> list[Measurement]:
        return measure_adaptively(
            self.counter,
            histograms,
            pairs(histograms),
            self.released.total,
            self.budget,
            self._left,
            known=known,
            contribution=self.contribution,
            progress=self.progress,
        )

    def task(self, task: Task) -> Synthesiser:
        """For a task; see `_task`."""
        rho = self.rho
        anchor = task.features[0]
        if len(task.features) > 1:
            anchor = choose_anchor(
                self.counter,
                self._merged(),
                task,
                self.released.total,
                self.budget,
                rho * ANCHOR_SHARE,
                self.contribution,
            )
        wanted = triples(task, anchor)
        share = rho * TRIPLE_SHARE / len(wanted)
        histograms = merge_for_task(
            self.released, self.counter.attributes, task, anchor, self._sigma(share)
        )
        merges = {name: item.groups for name, item in histograms.items()}
        found: list[Measurement] = []
        for columns, counts in zip(wanted, self.counter.count(wanted, merges), strict=True):
            noisy, sigma = self.budget.measure(
                counts,
                share,
                what=f"marginal {', '.join(columns)}",
                sensitivity=self.contribution,
            )
            found.append(Measurement(columns, noisy, sigma))
        self.progress("measured the task", 0.4)
        found += self._adapt(histograms, found)
        return self.model(histograms, found, clean=task.target)

    def model(
        self,
        histograms: dict[str, Histogram],
        found: list[Measurement],
        *,
        clean: str | None = None,
    ) -> Synthesiser:
        """Fit the model. Post-processing only."""
        sizes = {name: item.size for name, item in histograms.items()}
        ways = [item.measurement() for item in histograms.values()]
        total = self.released.total
        fitted = estimate(sizes, [*ways, *found], total)
        if clean is not None:
            fitted = estimate(sizes, [*ways, *cleaned(fitted, found, clean)], total)
        self.progress("fitted the model", 0.9)
        measured = tuple(item.columns for item in found)
        return Synthesiser(histograms, fitted.marginals, total, measured)
