"""Exact randomness: whole numbers from the operating system, probabilities as exact fractions.

Mechanisms that OpenDP does not offer are drawn from here. No floating-point number takes part in
a draw, so the probabilities are the ones written down, to the last bit.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from manatee.errors import ProvisioningError

Whole = npt.NDArray[np.int64]
Draw = Callable[[int, int], Whole]
"""Of (`limit`, `size`): independent uniform whole numbers in 0 … limit - 1."""

MIN_EPSILON = 0.001
MAX_EPSILON = 20.0
"""Beyond it a value is all but published: the odds of telling two values apart are e**20."""


def check_epsilon(epsilon: float) -> None:
    """Refuse an epsilon that means nothing (NaN included).

    Raises:
        ProvisioningError: Not in [`MIN_EPSILON`, `MAX_EPSILON`].
    """
    if not MIN_EPSILON <= epsilon <= MAX_EPSILON:
        raise ProvisioningError(
            f"epsilon of a value must be {MIN_EPSILON} to {MAX_EPSILON:g}.",
            hint="Common choices lie between 0.5 and 4.",
        )


def below_exp(exponent: Fraction, *, bits: int | None = None) -> Fraction:
    """Return a fraction just below e**exponent, for an exponent of 0 or more.

    A partial sum of the exponential series: all terms are positive, so it never exceeds the
    limit. `bits` rounds it down to that many binary places.
    """
    total = term = Fraction(1)
    for order in range(1, 40 + 4 * math.ceil(exponent)):
        term *= exponent / order
        total += term
    return total if bits is None else Fraction(math.floor(total * 2**bits), 2**bits)


def uniform_below(limit: int, size: int) -> Whole:
    """Draw from the operating system, uniformly: 63-bit words, those past a multiple rejected."""
    if not 0 < limit <= 2**62:
        raise ProvisioningError("a uniform draw needs a limit of 1 to 2**62.")
    bound = 2**63 - 2**63 % limit
    drawn = np.empty(size, dtype=np.int64)
    filled = 0
    while filled < size:
        words = np.frombuffer(secrets.token_bytes(8 * (size - filled)), dtype=np.uint64)
        kept = words[(words >> np.uint64(1)) < np.uint64(bound)] >> np.uint64(1)
        drawn[filled : filled + kept.size] = (kept % np.uint64(limit)).astype(np.int64)
        filled += kept.size
    return drawn
