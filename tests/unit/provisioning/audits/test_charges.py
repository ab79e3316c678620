"""The ledger is held to its statement: sums, costs, sensitivities, and nothing unpaid."""

from dataclasses import replace
from fractions import Fraction

import pytest

from manatee.provisioning.audits import check_charges, cost_of
from manatee.provisioning.audits._broken import Line

GAUSSIAN = Line("counts", "discrete-gaussian", 1, 2.0, Fraction(1, 8))
CHOICE = Line("choice", "noisy-max-gumbel", 1, 2.0, Fraction(1, 8))
BOTH = [GAUSSIAN, CHOICE]


def check(charges, *, rho=0.25, released=("counts", "choice"), contribution=1):
    return check_charges(charges, rho=rho, released=released, contribution=contribution)


def test_a_ledger_that_adds_up_passes():
    finding = check(BOTH)
    assert finding.passed
    assert finding.numbers["rho charged"] == 0.25


@pytest.mark.parametrize("line", BOTH)
def test_a_charge_covers_exactly_what_its_scale_costs(line):
    assert cost_of(line) == 0.125
    others = [item for item in BOTH if item is not line]
    assert not check([*others, replace(line, scale=1.9)]).passed
    assert check([*others, replace(line, scale=2.1)]).passed


@pytest.mark.parametrize(
    ("charges", "changed", "word"),
    [
        (BOTH, {"rho": 0.125}, "add up"),
        (BOTH, {"rho": 0.26}, "add up"),
        (BOTH, {"released": ("counts", "choice", "counts")}, "nobody paid"),
        (BOTH, {"released": ("counts",)}, "not released"),
        (BOTH, {"contribution": 2}, "contribution"),
        ([GAUSSIAN, replace(CHOICE, mechanism="laplace")], {}, "nobody knows"),
        ([GAUSSIAN, replace(CHOICE, scale=0.0)], {}, "costs more"),
        ([GAUSSIAN, replace(CHOICE, sensitivity=0)], {}, "costs more"),
        ([], {"rho": 0.0, "released": ()}, "add up"),
    ],
)
def test_each_way_of_not_adding_up_is_named(charges, changed, word):
    finding = check(charges, **changed)
    assert not finding.passed
    assert word in finding.why
