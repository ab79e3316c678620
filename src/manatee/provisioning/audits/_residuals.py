"""Is the noise what the ledger says: right size, centred, no two cells alike, never again?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

import numpy as np
from scipy import stats

from manatee.errors import ProvisioningError
from manatee.provisioning.audits._types import Finding

T = TypeVar("T")


def check_residuals(
    released: Sequence[float],
    exact: Sequence[float],
    sigma: float,
    *,
    false_alarm: float = 1e-6,
) -> Finding:
    """Compare released numbers with the exact ones of a generated table.

    Three two-sided tests share `false_alarm` evenly: mean (z), variance (chi-squared) and
    correlation of neighbouring cells (z). Noise that is too large is refuted as well: then the
    ledger is wrong in the other direction.

    Args:
        released: Noisy numbers, best some hundreds.
        exact: What they are of. Never of a private table: this is for generated ones.
        sigma: Claimed standard deviation. For discrete Gaussian noise below 1 its true standard
            deviation is slightly less than the parameter; audit at 1 and above.
        false_alarm: Chance that right noise is refuted.
    """
    noise = (np.asarray(released, dtype=float) - np.asarray(exact, dtype=float)) / sigma
    n_cells = len(noise)
    if n_cells < 30:
        raise ProvisioningError("a check of residuals needs at least 30 numbers.")
    part = false_alarm / 3
    mean = abs(float(noise.mean())) * math.sqrt(n_cells)
    square = float((noise**2).sum())
    low, high = stats.chi2.ppf(part / 2, n_cells), stats.chi2.isf(part / 2, n_cells)
    products = noise[:-1] * noise[1:]
    alike = abs(float(products.sum())) / math.sqrt(n_cells - 1)
    # Products of normals have heavier tails than a normal: 1.6 times the normal's limit holds
    # the stated rate from 30 cells on (their sum is sub-exponential; checked by simulation).
    limit = float(stats.norm.isf(part / 2))
    wrong = {
        "its mean is not zero": mean > limit,
        "its size is not the claimed one": not low < square < high,
        "neighbouring cells get related noise": alike > 1.6 * limit,
    }
    told = [text for text, is_so in wrong.items() if is_so]
    why = f"the noise is wrong: {', '.join(told)}." if told else "the noise has the claimed size."
    numbers = {
        "cells": float(n_cells),
        "sigma claimed": sigma,
        "sigma seen": sigma * math.sqrt(square / n_cells),
    }
    return Finding("residuals", not told, why, false_alarm, numbers)


def check_repeats(
    runs: Sequence[Sequence[float]], sigma: float, *, false_alarm: float = 1e-6
) -> Finding:
    """Refute noise that comes back: no two runs on one table may be equal but by chance.

    Args:
        runs: What each run released, of one and the same table. Start each run in a process of
            its own to catch a seed that is fixed where the process starts.
        sigma: Claimed scale of discrete Gaussian noise on every number.
        false_alarm: Most that the chance of equal runs may be for them to be remarkable.

    Raises:
        ProvisioningError: Too few numbers per run: equal runs would not be remarkable.
    """
    reach = np.arange(-math.ceil(12 * sigma) - 1, math.ceil(12 * sigma) + 2)
    chances = np.exp(-(reach**2) / (2 * sigma**2))
    chances /= chances.sum()
    n_pairs = len(runs) * (len(runs) - 1) / 2
    length = min(len(run) for run in runs)
    chance = n_pairs * float((chances**2).sum()) ** length
    if len(runs) < 2 or chance > false_alarm:
        raise ProvisioningError("too few numbers per run: equal runs would be no surprise.")
    equal = len({tuple(run) for run in runs}) < len(runs)
    why = "two runs gave the same noise." if equal else "no two runs gave the same noise."
    return Finding("repeats", not equal, why, chance, {"runs": float(len(runs))})


def in_fresh_processes(run: Callable[[], T], n_runs: int) -> list[T]:
    """Run a function, importable by name, in `n_runs` new processes one after the other."""
    found = []
    for _ in range(n_runs):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            found.append(pool.submit(run).result())
    return found
