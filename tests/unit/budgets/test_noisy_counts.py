"""Counts under noise, for guests: never without noise, never for less than is promised."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest

from manatee.budgets import discrete_gaussian, noisy_counts, opendp
from manatee.errors import BudgetError


@pytest.mark.parametrize("sensitivity", [1, 3, 100])
@pytest.mark.parametrize("rho", [Fraction(1, 10_000), Fraction(1, 7), Fraction(20)])
def test_the_scale_is_the_least_that_opendp_charges_no_more_than_rho_for(
    sensitivity: int, rho: Fraction
) -> None:
    _, scale = noisy_counts([5, 0], rho, sensitivity=sensitivity)
    assert scale == pytest.approx(sensitivity / math.sqrt(2 * float(rho)), rel=1e-9)
    measurement, same = discrete_gaussian(rho, sensitivity)
    assert same == scale
    assert Fraction(measurement.map(sensitivity)) <= rho


@pytest.mark.parametrize(
    "wrong",
    [
        {"sensitivity": 0},
        {"sensitivity": -1},
        {"sensitivity": True},
        {"sensitivity": 0.5},
        {"rho": Fraction(0)},
        {"rho": Fraction(-1)},
        {"rho": Fraction(10**9)},
        {"counts": []},
    ],
    ids=str,
)
def test_what_would_mean_no_noise_is_refused(wrong: dict[str, Any]) -> None:
    asked = {"counts": [1], "rho": Fraction(1, 2), "sensitivity": 1} | wrong
    with pytest.raises(BudgetError):
        noisy_counts(asked.pop("counts"), asked.pop("rho"), **asked)


def test_without_opendp_nothing_is_released(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in [name for name in sys.modules if name.split(".")[0] == "opendp"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(BudgetError, match="OpenDP"):
        opendp()
