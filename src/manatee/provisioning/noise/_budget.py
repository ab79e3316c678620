"""Randomised measurements under zero-concentrated differential privacy, all made by OpenDP.

Privacy unit: one row, or one person with at most `sensitivity` rows. Neighbouring tables: one is
the other with the rows of one unit added or removed.
Every draw comes from OpenDP's samplers, which take their randomness from the operating system;
there is no seed. Two mechanisms are used:

- discrete Gaussian noise on integer counts (Canonne, Kamath, Steinke 2020, theorem 4): L2
  sensitivity s and scale sigma give rho = s^2 / (2 sigma^2);
- noisy max with Gumbel noise, the exponential mechanism (McSherry, Talwar 2007), which OpenDP
  accounts as rho = (2 s / scale)^2 / 8 for scores of L-infinity sensitivity s.

What is charged is what OpenDP's own privacy map answers, never a formula of ours, and shares are
exact fractions, so that a budget is spent to the last bit and never over.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from manatee.budgets import discrete_gaussian, least_scale, opendp
from manatee.errors import ProvisioningError

COUNT_SENSITIVITY = 1
"""Adding or removing one row changes one cell of a histogram by one: L1, L2 and L-infinity. A
unit of m rows changes a histogram by at most m in each norm, when all fall into one cell."""

_BISECTIONS = 100
_TINY_RHO = 1e-12

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

dp = opendp()


def check_budget(*, epsilon: float, delta: float) -> None:
    """Refuse a budget that means nothing.

    Raises:
        ProvisioningError: epsilon not in (0, 100], or delta not in (0, 0.001]. A delta near one
            over the number of rows allows publishing a row outright; NaN is refused too.
    """
    if not (isinstance(epsilon, int | float) and 0 < epsilon <= 100):
        raise ProvisioningError("epsilon must be above 0 and at most 100.")
    if not (isinstance(delta, int | float) and 0 < delta <= 0.001):
        raise ProvisioningError("delta must be above 0 and at most 0.001.")


def rho_for(*, epsilon: float, delta: float) -> float:
    """Return the largest rho (to 1e-9 of it) whose zCDP implies (epsilon, delta)-DP.

    Source: OpenDP's conversion (Canonne, Kamath, Steinke 2020, proposition 7), bisected; the
    result is always on the safe side of it.

    Raises:
        ProvisioningError: As `check_budget`, or no rho at all fits.
    """
    check_budget(epsilon=epsilon, delta=delta)
    low, high = 0.0, float(epsilon)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if middle < _TINY_RHO or high - low <= 1e-10 * high:
            break
        if epsilon_of(rho=middle, delta=delta) <= epsilon:
            low = middle
        else:
            high = middle
    if low < _TINY_RHO:
        raise ProvisioningError("the privacy budget is too small for any measurement.")
    return low


def epsilon_of(*, rho: float, delta: float) -> float:
    """Return the epsilon that OpenDP states for a rho-zCDP mechanism at `delta`."""
    measurement, _ = discrete_gaussian(Fraction(rho), COUNT_SENSITIVITY)
    profile = dp.c.make_zCDP_to_approxDP(measurement).map(COUNT_SENSITIVITY)
    return float(profile.epsilon(delta))


def _check(rho: Fraction, sensitivity: float) -> None:
    """Refuse a share or a sensitivity that would mean no noise, before anything is drawn.

    Raises:
        ProvisioningError: Not above 0, or no finite number.
    """
    known = not isinstance(sensitivity, bool) and isinstance(sensitivity, int | float)
    if not known or not 0 < sensitivity < math.inf:
        raise ProvisioningError("a sensitivity must be above 0 and finite.")
    if not rho > 0:
        raise ProvisioningError("a measurement needs a share of the budget above 0.")


@dataclass(frozen=True)
class Charge:
    """One measurement that was paid for."""

    what: str
    mechanism: str
    sensitivity: float
    scale: float
    rho: Fraction


@dataclass
class Budget:
    """A rho budget and everything charged to it. Charged before the noise is drawn.

    Attributes:
        parts: Parts that were given out and have not come back: all of each counts as gone.
    """

    rho: Fraction
    charges: list[Charge] = field(default_factory=list)
    parts: list[Budget] = field(default_factory=list)

    @property
    def spent(self) -> Fraction:
        """Exact sum of all charges."""
        return sum((charge.rho for charge in self.charges), Fraction(0))

    @property
    def left(self) -> Fraction:
        """What may still be spent: neither charged nor given out as a part."""
        return self.rho - self.spent - sum((part.rho for part in self.parts), Fraction(0))

    def _require(self, rho: Fraction) -> None:
        if not 0 < rho <= self.left:
            raise ProvisioningError("a measurement would go over the privacy budget.")

    def _charge(self, charge: Charge) -> None:
        self._require(charge.rho)
        self.charges.append(charge)

    def measure(
        self,
        counts: Sequence[int] | Counts,
        rho: Fraction,
        *,
        what: str,
        sensitivity: int = COUNT_SENSITIVITY,
    ) -> tuple[Floats, float]:
        """Release counts under discrete Gaussian noise.

        Guarantee: `rho`-zCDP for one privacy unit added or removed, which changes the counts by
        at most `sensitivity` in the L2 norm; the caller must make sure of that bound.

        Args:
            counts: One count per cell, of any shape; the cells must not depend on the data.
            rho: The share of the budget.
            what: Names the measurement in the statement; public.
            sensitivity: Most rows of one unit.

        Returns:
            Noisy counts of the same shape, possibly negative, and the noise scale sigma.

        Raises:
            ProvisioningError: The share goes over what is left.
        """
        _check(rho, sensitivity)
        if not isinstance(sensitivity, int):
            raise ProvisioningError("the sensitivity of counts is a whole number of rows.")
        exact = np.asarray(counts, dtype=np.int64)
        measurement, scale = discrete_gaussian(rho, sensitivity)
        self._charge(Charge(what, "discrete-gaussian", sensitivity, scale, rho))
        noisy = measurement(exact.ravel().tolist()) if exact.size else []
        return np.array(noisy, dtype=np.float64).reshape(exact.shape), scale

    def select(
        self,
        scores: Sequence[float] | Floats,
        rho: Fraction,
        *,
        what: str,
        sensitivity: float = COUNT_SENSITIVITY,
    ) -> int:
        """Release the index of a score that is likely the largest.

        Guarantee: `rho`-zCDP where one privacy unit changes every score by at most `sensitivity`
        (L-infinity); the caller must make sure of that bound.

        Raises:
            ProvisioningError: The share goes over what is left.
        """
        _check(rho, sensitivity)
        if not len(scores):
            raise ProvisioningError("there is nothing to choose from.")
        space = (
            dp.vector_domain(dp.atom_domain(T="f64", nan=False)),
            dp.linf_distance(T="f64"),
        )
        measurement, scale = least_scale(
            lambda width: dp.m.make_noisy_max(
                *space, dp.zero_concentrated_divergence(), scale=width
            ),
            rho,
            start=float(sensitivity) / math.sqrt(2 * float(rho)),
            sensitivity=float(sensitivity),
        )
        self._charge(Charge(what, "noisy-max-gumbel", sensitivity, scale, rho))
        return int(measurement([float(score) for score in scores]))

    def part(self, rho: Fraction) -> Budget:
        """Return a budget of its own, taken out of this one at once.

        What it does not spend comes back with `join`; a part that never joins stays spent.

        Raises:
            ProvisioningError: More than is left.
        """
        self._require(rho)
        part = self._own(rho)
        self.parts.append(part)
        return part

    def _own(self, rho: Fraction) -> Budget:
        """Return a part of this budget's own kind."""
        return Budget(rho)

    def join(self, part: Budget, *, where: str) -> None:
        """Charge everything that a part has spent, and take back the rest of it.

        Raises:
            ProvisioningError: It is no part of this budget, or has joined before.
        """
        open_parts = [item for item in self.parts if item is not part]
        if len(open_parts) == len(self.parts) or part.parts:
            raise ProvisioningError("only a part that was given out, whole, can join its budget.")
        self.parts = open_parts
        for charge in part.charges:
            self._charge(replace(charge, what=f"{where}: {charge.what}"))
