"""Counts under differential privacy, for guests: no numpy, nothing that reads a table.

The noise is OpenDP's discrete Gaussian (Canonne, Kamath, Steinke 2020, theorem 4), drawn from the
operating system's randomness; there is no seed. What is promised is what OpenDP's own privacy map
answers: a scale is used only if its map stays within the share of the budget.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from manatee.budgets._opendp import opendp
from manatee.errors import BudgetError

_STEPS = 200
_STEP = 1 + 1e-13


def noisy_counts(
    counts: Sequence[int], rho: Fraction, *, sensitivity: int
) -> tuple[tuple[int, ...], float]:
    """Release counts of rows under discrete Gaussian noise.

    Guarantee: `rho`-zCDP where one privacy unit added or removed changes the counts by at most
    `sensitivity` in the L2 norm; the caller must make sure of that bound.

    Args:
        counts: One for each cell; how many there are must not depend on the data.
        rho: Above 0.
        sensitivity: In rows, at least 1.

    Returns:
        The noisy counts, possibly negative, and the standard deviation of the noise, in rows.

    Raises:
        BudgetError: The share or the sensitivity would mean no noise, or OpenDP is not here.
    """
    if isinstance(sensitivity, bool) or not isinstance(sensitivity, int) or sensitivity < 1:
        raise BudgetError("the sensitivity of counts is a whole number of rows, at least 1.")
    if not 0 < rho <= 1_000:
        raise BudgetError("a measurement needs a share of the budget above 0, and a finite one.")
    if not counts:
        raise BudgetError("there is nothing to count.")
    measurement, scale = discrete_gaussian(rho, sensitivity)
    return tuple(int(count) for count in measurement(list(counts))), scale


def discrete_gaussian(rho: Fraction, sensitivity: int) -> tuple[Any, float]:
    """Return OpenDP's discrete Gaussian for lists of counts, and its scale.

    The least scale whose own privacy map stays within `rho`, to one part in 10^13.

    Raises:
        BudgetError: There is none.
    """
    dp = opendp()
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T="i64")
    return least_scale(
        lambda scale: dp.m.make_gaussian(*space, scale=scale),
        rho,
        start=sensitivity * math.sqrt(1 / (2 * float(rho))),
        sensitivity=sensitivity,
    )


def least_scale(
    make: Callable[[float], Any], rho: Fraction, *, start: float, sensitivity: float
) -> tuple[Any, float]:
    """Return the mechanism of the least scale, from `start` on, whose map stays within `rho`.

    Raises:
        BudgetError: There is none near `start`.
    """
    scale = start
    for _ in range(_STEPS):
        measurement = make(scale)
        if Fraction(measurement.map(sensitivity)) <= rho:
            return measurement, scale
        scale *= _STEP
    raise BudgetError("no noise scale fits the privacy budget.")
