"""Tell two neighbouring tables apart by what a mechanism releases, as well as can be learned.

The first third of the runs teaches which numbers differ and where to cut; the rest is used once,
for the error rates. So the limits are those of a single test, whatever was tried while learning.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from manatee.errors import ProvisioningError
from manatee.provisioning.audits._bounds import (
    Floats,
    epsilon_at_least,
    lower_limit,
    mu_at_least,
    rho_at_least,
    upper_limit,
)
from manatee.provisioning.audits._types import Claim, Finding, Released, Run

FALSE_ALARM = 1e-6
"""Chance that a correct mechanism is refuted by one audit."""

_FEATURES = (1, 3, 10, 30, 10_000)
"""How many of the numbers that differ most are put together; all sizes are tried in learning."""

Score = Callable[[Floats], Floats]


def distinguish(
    without: Run,
    with_unit: Run,
    claim: Claim,
    *,
    trials: int = 1500,
    false_alarm: float = FALSE_ALARM,
    audit: str = "distinguisher",
) -> Finding:
    """Try to refute `claim` on two neighbouring tables.

    Args:
        without: Runs the mechanism on a table.
        with_unit: Runs it on the same table with one privacy unit more (the worst one you know).
        claim: What is claimed for the pair.
        trials: Runs per table. Time grows with it, and so does power.
        false_alarm: Chance that a mechanism that keeps its claim is refuted.
        audit: The finding's name.

    Returns:
        The lower limits of rho, mu and epsilon (at the claim's delta), each valid with
        confidence 1 - `false_alarm`, and whether they refute the claim.

    Raises:
        ProvisioningError: Fewer than 30 trials, of which nothing could be learned.
    """
    if trials < 30:
        raise ProvisioningError("an audit needs at least 30 trials.")
    runs = [without() for _ in range(trials)], [with_unit() for _ in range(trials)]
    absent, present = _matrices(*runs)
    cut = trials // 3
    says_with = _learn(absent[:cut], present[:cut])
    n_tested = trials - cut
    false_positives = int(says_with(absent[cut:]).sum())
    true_positives = int(says_with(present[cut:]).sum())
    fpr = upper_limit(false_positives, n_tested, false_alarm / 2)
    tpr = lower_limit(true_positives, n_tested, false_alarm / 2)
    rho, mu = rho_at_least(tpr, fpr), mu_at_least(tpr, fpr)
    refuted = rho > claim.rho or (claim.gaussian and mu > math.sqrt(2 * claim.rho))
    numbers = {
        "trials": float(trials),
        "tpr": true_positives / n_tested,
        "fpr": false_positives / n_tested,
        "rho claimed": claim.rho,
        "rho at least": rho,
        "mu at least": mu,
        "epsilon at least": epsilon_at_least(tpr, fpr, claim.delta),
        "delta": claim.delta,
    }
    why = (
        "the two tables can be told apart better than the claim allows."
        if refuted
        else "the two tables were not told apart better than the claim allows."
    )
    return Finding(audit, not refuted, why, false_alarm, numbers)


def _matrices(*worlds: Sequence[Released]) -> list[Floats]:
    """Return one row per run: all numbers (0 where missing), then which of them are there."""
    names = sorted({name for runs in worlds for run in runs for name in run})
    found = []
    for runs in worlds:
        values = np.array([[run.get(name, 0.0) for name in names] for run in runs], dtype=float)
        there = np.array([[float(name in run) for name in names] for run in runs])
        found.append(np.hstack([values, there]))
    return found


def _learn(absent: Floats, present: Floats) -> Callable[[Floats], Floats]:
    """Return the yes-or-no question that told the tables apart best in these runs."""
    shift = present.mean(axis=0) - absent.mean(axis=0)
    spread = (present.var(axis=0) + absent.var(axis=0)) / 2
    # A number without any spread that shifts tells the tables apart by itself.
    weights = shift / np.maximum(spread, 1e-9 * np.maximum(1.0, np.abs(shift)))
    strength = np.abs(shift) / np.sqrt(np.maximum(spread, 1e-18))
    order = np.argsort(-strength)
    best, chosen = -math.inf, (np.zeros_like(weights), 0.0)
    for size in _FEATURES:
        kept = np.zeros_like(weights)
        kept[order[:size]] = weights[order[:size]]
        low, high = np.sort(absent @ kept), np.sort(present @ kept)
        for threshold in np.unique(np.quantile(np.concatenate([low, high]), _QUANTILES)):
            value = _worth(low, high, float(threshold))
            if value > best:
                best, chosen = value, (kept, float(threshold))
    kept, threshold = chosen
    return lambda rows: rows @ kept > threshold


_QUANTILES = np.linspace(0.01, 0.99, 99)


def _worth(low: Floats, high: Floats, threshold: float) -> float:
    n_runs = len(low)
    tpr = (n_runs - np.searchsorted(high, threshold, side="right") + 0.5) / (n_runs + 1)
    fpr = (n_runs - np.searchsorted(low, threshold, side="right") + 0.5) / (n_runs + 1)
    # Shrunk by about the width of the limits at the end, so that no cut is far out in a tail.
    width = 2 / math.sqrt(n_runs)
    sure_tpr = tpr - width * math.sqrt(tpr * (1 - tpr)) - 1 / n_runs
    sure_fpr = fpr + width * math.sqrt(fpr * (1 - fpr)) + 1 / n_runs
    found = rho_at_least(max(sure_tpr, 0.0), min(sure_fpr, 1.0))
    return found or float(tpr - fpr) - 1.0  # where nothing is sure, the likelier cut
