"""Do the charges add up to what the statement says, and is everything released paid for?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence
from fractions import Fraction
from typing import Protocol

from manatee.provisioning.audits._types import Finding

_TOLERANCE = 1e-9
"""Relative; scales are found by bisection and floats round."""


class ChargeLike(Protocol):
    """One line of a ledger or statement."""

    @property
    def what(self) -> str: ...
    @property
    def mechanism(self) -> str: ...
    @property
    def sensitivity(self) -> float: ...
    @property
    def scale(self) -> float: ...
    @property
    def rho(self) -> Fraction | float: ...


def cost_of(charge: ChargeLike) -> float | None:
    """Return the rho that a mechanism of this scale spends; None for one not known here.

    Discrete Gaussian of scale sigma: s^2 / (2 sigma^2) (Canonne, Kamath, Steinke 2020). Noisy max
    with Gumbel noise: (2 s / scale)^2 / 8 (bounded range: Dong, Durfee, Rogers 2020).
    """
    if not (charge.scale > 0 and charge.sensitivity > 0):
        return math.inf
    ratio = float(charge.sensitivity) / float(charge.scale)
    costs = {"discrete-gaussian": ratio**2 / 2, "noisy-max-gumbel": (2 * ratio) ** 2 / 8}
    return costs.get(charge.mechanism)


def check_charges(
    charges: Sequence[ChargeLike],
    *,
    rho: float,
    released: Collection[str],
    contribution: int = 1,
) -> Finding:
    """Hold a ledger to its statement. Exact: there is no chance in it.

    Args:
        charges: Every line.
        rho: What the statement says was spent in all.
        released: The name of every measurement that was released, as often as it was.
        contribution: Rows of one privacy unit; no sensitivity may be less.
    """
    wrong: list[str] = []
    for charge in charges:
        cost = cost_of(charge)
        if cost is None:
            wrong.append(f"{charge.what}: a mechanism nobody knows")
        elif not cost <= float(charge.rho) * (1 + _TOLERANCE):
            wrong.append(f"{charge.what}: its scale costs more than was charged")
        if charge.sensitivity < contribution:
            wrong.append(f"{charge.what}: a sensitivity below the contribution of one unit")
    spent = float(sum((Fraction(charge.rho) for charge in charges), Fraction(0)))
    if not math.isclose(spent, rho, rel_tol=_TOLERANCE) or rho <= 0:
        wrong.append("the charges do not add up to the statement")
    paid, seen = Counter(charge.what for charge in charges), Counter(released)
    if seen - paid:
        wrong.append("something was released that nobody paid for")
    if paid - seen:
        wrong.append("something was paid for that was not released")
    why = "; ".join(wrong) + "." if wrong else "every release is paid for, and the sum is right."
    numbers = {"charges": float(len(charges)), "rho charged": spent, "rho stated": rho}
    return Finding("charges", not wrong, why, 0.0, numbers)
