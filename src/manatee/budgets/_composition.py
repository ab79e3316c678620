"""Composition and conversion of zero-concentrated differential privacy, by OpenDP alone.

Each charge becomes a measurement whose privacy map answers the rho that was charged. OpenDP
composes them and converts the whole to (epsilon, delta), rounding up. No formula here is ours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from manatee.budgets._opendp import opendp


def rounded_up(value: Fraction) -> float:
    """Return the least float that is not below `value`."""
    near = float(value)
    return near if Fraction(near) >= value else math.nextafter(near, math.inf)


def composed(rhos: Sequence[Fraction]) -> float:
    """Return what releases of these rhos cost together, never less than their exact sum."""
    if not rhos:
        return 0.0
    return float(_composition(opendp(), rhos).map(1))


def epsilon_of(rhos: Sequence[Fraction], *, delta: float) -> float:
    """Return the epsilon at `delta` of all these releases together.

    Source: OpenDP's composition and its conversion (Canonne, Kamath, Steinke 2020,
    proposition 7).

    Args:
        rhos: What each release cost, in zCDP.
        delta: Above 0.
    """
    if not rhos:
        return 0.0
    dp = opendp()
    whole = dp.c.make_zCDP_to_approxDP(_composition(dp, rhos))
    return float(whole.map(1).epsilon(delta))


def rho_of_pure(epsilon: float) -> Fraction:
    """Return the rho of an `epsilon`-differentially private release, by OpenDP."""
    dp = opendp()
    space = dp.atom_domain(T="i64"), dp.absolute_distance(T="i64")
    claimed = dp.m.make_user_measurement(
        *space,
        dp.max_divergence(),
        function=lambda _value: 0,
        privacy_map=lambda _distance: float(epsilon),
    )
    return Fraction(float(dp.c.make_pureDP_to_zCDP(claimed).map(1)))


def _composition(dp: Any, rhos: Sequence[Fraction]) -> Any:
    return dp.c.make_composition([_claimed(dp, rounded_up(rho)) for rho in rhos])


def _claimed(dp: Any, rho: float) -> Any:
    """Return a measurement that releases nothing and claims `rho` for distance 1."""
    return dp.m.make_user_measurement(
        dp.atom_domain(T="i64"),
        dp.absolute_distance(T="i64"),
        dp.zero_concentrated_divergence(),
        function=lambda _value: 0,
        privacy_map=lambda _distance: rho,
    )
