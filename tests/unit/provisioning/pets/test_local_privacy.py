"""Local differential privacy: exact tables of probabilities, unbiased estimates, honest draws."""

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from scipy.stats import binom

from manatee.contracts import Column
from manatee.errors import ProvisioningError
from manatee.provisioning.pets import (
    Context,
    Randomise,
    RandomiseNumber,
    better_by_rule,
    debias_frequencies,
    debias_mean,
)
from manatee.provisioning.pets._categories import other_bit, unary
from manatee.provisioning.pets._exact import WORD, below_exp, uniform_below
from manatee.provisioning.pets._numbers import laplace, windows
from manatee.provisioning.pets._windows import response

FALSE_ALARM = 1e-9
EPSILONS = [Fraction(1, 100), Fraction(1, 2), Fraction(1, 3), Fraction(3), Fraction(8)]


def within(count, n, chance):
    """Whether a binomial count lies within exact bounds; false alarms: FALSE_ALARM."""
    low, high = binom.ppf([FALSE_ALARM / 2, 1 - FALSE_ALARM / 2], n, chance)
    return low <= count <= high


@pytest.mark.parametrize("epsilon", EPSILONS)
@pytest.mark.parametrize("k", [2, 5, 100])
def test_randomised_response_spends_all_of_epsilon_and_no_more(k, epsilon):
    told = response(k, epsilon)
    assert told.cells == k
    assert 1 < Fraction(told.inside, told.outside) <= below_exp(epsilon)
    assert Fraction(told.inside, told.outside) > below_exp(epsilon) * (1 - Fraction(1, 2**19))


@pytest.mark.parametrize("epsilon", EPSILONS)
def test_unary_reports_enumerated_never_tell_two_values_apart_beyond_epsilon(epsilon):
    q = Fraction(other_bit(epsilon), WORD)
    worst = Fraction(0)
    for report in product((0, 1), repeat=3):
        chances = []
        for value in range(3):
            chance = Fraction(1)
            for place, bit in enumerate(report):
                p = Fraction(1, 2) if place == value else q
                chance *= p if bit else 1 - p
            chances.append(chance)
        worst = max(worst, max(chances) / min(chances))
    assert 1 < worst <= below_exp(epsilon)


@pytest.mark.parametrize("epsilon", EPSILONS)
def test_piecewise_enumerated_is_private_and_unbiased(epsilon):
    told = windows(20, epsilon)
    rows = [[told.weight(step, cell) for cell in range(told.cells)] for step in range(21)]
    assert {sum(row) for row in rows} == {told.total}
    for column in zip(*rows, strict=True):
        assert Fraction(max(column), min(column)) <= below_exp(epsilon)
    for step, row in enumerate(rows):
        mean = Fraction(sum(c * w for c, w in enumerate(row)), told.total)
        assert told.undo(float(mean)) == pytest.approx(step, abs=1e-6)


def test_unary_sets_bits_at_exactly_the_stated_chances():
    n = 40_000
    bits = unary(np.zeros(n, dtype=np.int64), 3, Fraction(1))
    assert within(bits[:, 0].sum(), n, 0.5)
    assert within(bits[:, 1].sum(), n, other_bit(Fraction(1)) / WORD)


@pytest.mark.parametrize("epsilon", EPSILONS)
def test_laplace_is_charged_by_opendp_for_the_whole_range(epsilon):
    assert laplace(50, epsilon)[0].map(50) <= epsilon


def test_uniform_draws_reach_every_value_and_no_other():
    drawn = np.bincount(uniform_below(3, 30_000), minlength=3)
    assert len(drawn) == 3
    assert all(within(count, 30_000, 1 / 3) for count in drawn)


def test_the_better_mechanism_is_chosen_by_the_number_of_categories():
    assert better_by_rule(10, 1.0) == "randomised-response"  # 10 < 3e + 2 = 10.15
    assert better_by_rule(11, 1.0) == "unary-encoding"


@pytest.mark.parametrize("k", [3, 80])
def test_released_shares_are_those_of_the_column(k):
    column = Column("c", "category", categories=tuple(f"v{n}" for n in range(k)))
    run = Randomise(3.0).begin(column, Context())
    n = 4_000
    out = run.apply(pa.array(["v0"] * n))
    record = run.record()
    truth, other = record.parameters["chance_of_truth"], record.parameters["chance_other"]
    count = round((record.released["share of v0"] * (truth - other) + other) * n)
    assert within(count, n, truth)
    assert set(out.to_pylist()) <= set(column.categories)
    if k == 3:
        counts = {v["values"]: v["counts"] for v in out.value_counts().to_pylist()}
        shares = debias_frequencies(counts, record)
        assert shares["v0"] == pytest.approx(record.released["share of v0"])
    else:
        with pytest.raises(ProvisioningError, match="cannot be debiased row by row"):
            debias_frequencies({"v0": n}, record)


def test_piecewise_means_are_unbiased_for_any_rows():
    column = Column("x", "integer", minimum=0, maximum=100)
    run = RandomiseNumber(2.0, "piecewise").begin(column, Context())
    out = run.apply(pa.array([30] * 60_000))
    half = out.slice(0, 30_000)
    told = windows(100, Fraction(2))
    slope = told.undo(1.0) - told.undo(0.0)  # what debiasing makes of one cell
    # Hoeffding: 30,000 values, each within a width of about 215 once debiased; false alarms:
    # FALSE_ALARM. Rounding to whole numbers adds half a unit at most, magnified as they are.
    width = (told.cells - 1) * slope
    bound = width * math.sqrt(math.log(2 / FALSE_ALARM) / (2 * len(half))) + width / 200
    assert bound < 6
    assert debias_mean(pc.mean(half).as_py(), run.record()) == pytest.approx(30, abs=bound)
    assert pc.min_max(out).as_py() == {"min": 0, "max": 100}


def test_laplace_holds_values_to_the_range_and_releases_the_mean_before_that():
    column = Column("x", "integer", minimum=0, maximum=100)
    run = RandomiseNumber(2.0, "laplace").begin(column, Context())
    n, scale = 20_000, 50
    out = run.apply(pa.array([10] * n))
    assert pc.min_max(out).as_py() == {"min": 0, "max": 100}
    # Chernoff: a Laplace draw's moments are below 1 / (1 - (scale * t)**2); at 7 standard errors
    off = 7 * scale * math.sqrt(2 / n)
    t = off / (2 * scale**2)
    assert 2 * math.exp(-n * (t * off + math.log(1 - (scale * t) ** 2))) < FALSE_ALARM
    assert run.record().released["mean"] == pytest.approx(10, abs=off)


def test_values_out_of_range_gain_no_more_than_its_ends():
    column = Column("x", "integer", minimum=0, maximum=10)
    run = RandomiseNumber(20.0, "piecewise").begin(column, Context())
    assert set(run.apply(pa.array([10**9] * 50)).to_pylist()) <= set(range(11))


def test_missing_numbers_are_refused_because_missing_would_show():
    column = Column("x", "integer", minimum=0, maximum=10, nullable=True)
    with pytest.raises(ProvisioningError, match="which values are missing"):
        RandomiseNumber(1.0, "laplace").check(column)


def test_missing_categories_are_randomised_like_any_other():
    column = Column("c", "category", categories=("a", "b"), nullable=True)
    run = Randomise(0.5).begin(column, Context())
    out = run.apply(pa.array([None] * 300, pa.string()))  # 3 * 0.73**300 false alarms
    assert {None, "a", "b"} == set(out.to_pylist())
