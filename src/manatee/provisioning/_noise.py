"""Randomised measurements under zero-concentrated differential privacy, all made by OpenDP.

Privacy unit: one row. Neighbouring tables: one is the other with one row added or removed.
Every draw comes from OpenDP's samplers, which take their randomness from the operating system;
there is no seed. Two mechanisms are used:

- discrete Gaussian noise on integer counts (Canonne, Kamath, Steinke 2020, theorem 4): L2
  sensitivity 1 and scale sigma give rho = 1 / (2 sigma^2);
- noisy max with Gumbel noise, the exponential mechanism (McSherry, Talwar 2007), which OpenDP
  accounts as rho = (2 s / scale)^2 / 8 for scores of L-infinity sensitivity s.

What is charged is what OpenDP's own privacy map answers, never a formula of ours, and shares are
exact fractions, so that a budget is spent to the last bit and never over.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import opendp.prelude as dp

from manatee.errors import ProvisioningError

COUNT_SENSITIVITY = 1
"""Adding or removing one row changes one cell of a histogram by one: L1, L2 and L-infinity."""

_BISECTIONS = 100
_TINY_RHO = 1e-12

dp.enable_features("contrib")


def check_budget(epsilon: float, delta: float) -> None:
    """Refuse a budget that means nothing.

    Raises:
        ProvisioningError: epsilon not in (0, 100], or delta not in (0, 0.001]. A delta near one
            over the number of rows allows publishing a row outright; NaN is refused too.
    """
    if not (isinstance(epsilon, int | float) and 0 < epsilon <= 100):
        raise ProvisioningError("epsilon must be above 0 and at most 100.")
    if not (isinstance(delta, int | float) and 0 < delta <= 0.001):
        raise ProvisioningError("delta must be above 0 and at most 0.001.")


def rho_for(epsilon: float, delta: float) -> float:
    """Return the largest rho (to 1e-9 of it) whose zCDP implies (epsilon, delta)-DP.

    Source: OpenDP's conversion (Canonne, Kamath, Steinke 2020, proposition 7), bisected; the
    result is always on the safe side of it.

    Raises:
        ProvisioningError: As `check_budget`, or no rho at all fits.
    """
    check_budget(epsilon, delta)
    low, high = 0.0, float(epsilon)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if middle < _TINY_RHO or high - low <= 1e-10 * high:
            break
        if epsilon_of(middle, delta) <= epsilon:
            low = middle
        else:
            high = middle
    if low < _TINY_RHO:
        raise ProvisioningError("the privacy budget is too small for any measurement.")
    return low


def epsilon_of(rho: float, delta: float) -> float:
    """Return the epsilon that OpenDP states for a rho-zCDP mechanism at `delta`."""
    measurement = _gaussian(Fraction(rho))
    profile = dp.c.make_zCDP_to_approxDP(measurement).map(COUNT_SENSITIVITY)
    return float(profile.epsilon(delta))


def _gaussian(rho: Fraction) -> Any:
    """Return the discrete Gaussian with the least scale whose map stays within `rho`."""
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T="i64")
    return _within(
        rho,
        math.sqrt(1 / (2 * float(rho))),
        lambda scale: dp.m.make_gaussian(*space, scale=scale),
        COUNT_SENSITIVITY,
    )[0]


def _within(
    rho: Fraction, scale: float, make: Callable[[float], Any], sensitivity: float
) -> tuple[Any, float]:
    for _ in range(200):
        measurement = make(scale)
        if Fraction(measurement.map(sensitivity)) <= rho:
            return measurement, scale
        scale *= 1 + 1e-13
    raise ProvisioningError("no noise scale fits the privacy budget.")


@dataclass(frozen=True)
class Charge:
    """One measurement that was paid for."""

    what: str
    mechanism: str
    sensitivity: int
    scale: float
    rho: Fraction


@dataclass
class Budget:
    """A rho budget and everything charged to it. Charged before the noise is drawn."""

    rho: Fraction
    charges: list[Charge] = field(default_factory=list)

    @property
    def spent(self) -> Fraction:
        """Exact sum of all charges."""
        return sum((charge.rho for charge in self.charges), Fraction(0))

    def _charge(self, charge: Charge) -> None:
        if charge.rho <= 0 or self.spent + charge.rho > self.rho:
            raise ProvisioningError("a measurement would go over the privacy budget.")
        self.charges.append(charge)

    def measure(
        self, counts: Sequence[int], rho: Fraction, *, what: str
    ) -> tuple[list[int], float]:
        """Release a histogram under discrete Gaussian noise.

        Guarantee: `rho`-zCDP for one row added or removed, which changes one cell by one (L2
        sensitivity 1).

        Args:
            counts: One count per cell; the cells must not depend on the data.
            rho: The share of the budget.
            what: Names the measurement in the ledger; public.

        Returns:
            Noisy counts, possibly negative, and the noise scale sigma.

        Raises:
            ProvisioningError: The share goes over what is left.
        """
        space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T="i64")
        measurement, scale = _within(
            rho,
            math.sqrt(1 / (2 * float(rho))),
            lambda sigma: dp.m.make_gaussian(*space, scale=sigma),
            COUNT_SENSITIVITY,
        )
        self._charge(Charge(what, "discrete-gaussian", COUNT_SENSITIVITY, scale, rho))
        return [int(count) for count in measurement(list(counts))], scale

    def select(self, scores: Sequence[float], rho: Fraction, *, what: str) -> int:
        """Release the index of a score that is likely the largest.

        Guarantee: `rho`-zCDP where one row changes every score by at most 1 (L-infinity
        sensitivity 1); the caller must make sure of that bound.

        Raises:
            ProvisioningError: The share goes over what is left.
        """
        space = (
            dp.vector_domain(dp.atom_domain(T="f64", nan=False)),
            dp.linf_distance(T="f64"),
        )
        measurement, scale = _within(
            rho,
            float(COUNT_SENSITIVITY) / math.sqrt(2 * float(rho)),
            lambda width: dp.m.make_noisy_max(
                *space, dp.zero_concentrated_divergence(), scale=width
            ),
            float(COUNT_SENSITIVITY),
        )
        self._charge(Charge(what, "noisy-max-gumbel", COUNT_SENSITIVITY, scale, rho))
        return int(measurement([float(score) for score in scores]))
