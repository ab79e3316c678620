"""Exact randomness: whole numbers from the operating system, probabilities as exact fractions.

Mechanisms that OpenDP does not offer, or not for many values at once, are drawn from here. No
floating-point number takes part in a draw, so the probabilities are the ones written down, to the
last bit. Bytes are drawn in blocks, as few as will do; the source of bytes is an argument, so that
a mechanism can be given every word there is and its answers counted.
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
ByteSource = Callable[[int], bytes]
"""Of a number: so many independent, uniform bytes. Always the operating system's but in tests."""

from_system: ByteSource = secrets.token_bytes

WORD = 2**32
"""Denominator of the probabilities of `chance`."""

MIN_EPSILON = 0.001
MAX_EPSILON = 20.0
"""Beyond it a value is all but published: the odds of telling two values apart are e**20."""


def value_epsilon(epsilon: float, rows: int) -> Fraction:
    """Return the epsilon of each value, where so many rows of one person share `epsilon`.

    Raises:
        ProvisioningError: It means nothing (NaN included): a value's is not in [`MIN_EPSILON`,
            `MAX_EPSILON`], or there is no row.
    """
    if rows < 1 or not MIN_EPSILON * rows <= epsilon <= MAX_EPSILON * rows:
        shared = f", and {rows} rows of a person share it" if rows > 1 else ""
        raise ProvisioningError(
            f"epsilon of a value must be {MIN_EPSILON} to {MAX_EPSILON:g}{shared}.",
            hint="Common choices lie between 0.5 and 4 for all rows of a person.",
        )
    return Fraction(epsilon) / rows


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


def uniform_below(limit: int, size: int, source: ByteSource = from_system) -> Whole:
    """Draw whole numbers in 0 … limit - 1, independently and exactly uniformly.

    Words of the fewest whole bytes that reach the limit; those past its last multiple are
    rejected and drawn again.

    Returns:
        Shape (size,).
    """
    if not 0 < limit <= 2**62:
        raise ProvisioningError("a uniform draw needs a limit of 1 to 2**62.")
    width = max(1, ((limit - 1).bit_length() + 7) // 8)
    last = np.uint64(256**width - 256**width % limit - 1)
    drawn = np.empty(size, dtype=np.int64)
    filled = 0
    while filled < size:
        words = np.zeros((size - filled, 8), dtype=np.uint8)
        words[:, :width] = _bytes(source, width * len(words)).reshape(-1, width)
        numbers = words.view("<u8").ravel()
        kept = numbers[numbers <= last]
        drawn[filled : filled + kept.size] = (kept % np.uint64(limit)).astype(np.int64)
        filled += kept.size
    return drawn


def chance(numerator: int, size: int, source: ByteSource = from_system) -> npt.NDArray[np.bool_]:
    """Draw independent truths, each with a chance of exactly `numerator` / `WORD`.

    A 32-bit word is compared with the numerator: its first byte, and the other three only where
    that byte decides nothing, one time in 256.

    Returns:
        Shape (size,).
    """
    if not 0 <= numerator < WORD:
        raise ProvisioningError("a chance must be at least 0 and below 1.")
    first = _bytes(source, size)
    top, rest = divmod(numerator, 2**24)
    found: npt.NDArray[np.bool_] = first < top
    open_still = np.flatnonzero(first == top)
    if rest:
        found[open_still] = uniform_below(2**24, len(open_still), source) < rest
    return found


def _bytes(source: ByteSource, size: int) -> npt.NDArray[np.uint8]:
    return np.frombuffer(source(size), dtype=np.uint8)
