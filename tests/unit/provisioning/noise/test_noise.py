"""The noise is the noise that is claimed, and the budget is spent to the last bit, never over.

Statistical tests here cannot fix a seed: the randomness is the operating system's, as the
promise says. Each states its false-alarm rate instead; thresholds are set for about one false
alarm in ten million runs.
"""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from manatee.errors import ProvisioningError
from manatee.provisioning.noise import Budget, epsilon_of, rho_for

FALSE_ALARM = 1e-7


@pytest.mark.parametrize(
    ("epsilon", "delta"),
    [
        (0, 1e-6),
        (-1, 1e-6),
        (math.nan, 1e-6),
        (math.inf, 1e-6),
        (1000, 1e-6),
        (1, 0),
        (1, -1e-9),
        (1, 1),
        (1, 0.5),
        (1, 2),
        (1, math.nan),
        ("1", 1e-6),
        (1, None),
    ],
)
def test_a_budget_that_means_nothing_is_refused(epsilon, delta):
    with pytest.raises(ProvisioningError):
        rho_for(epsilon=epsilon, delta=delta)


@pytest.mark.parametrize("epsilon", [0.01, 0.1, 1, 10])
@pytest.mark.parametrize("delta", [1e-9, 1e-5])
def test_rho_is_within_the_budget_and_nearly_uses_it(epsilon, delta):
    rho = rho_for(epsilon=epsilon, delta=delta)
    assert epsilon_of(rho=rho, delta=delta) <= epsilon
    assert epsilon_of(rho=rho * 1.001, delta=delta) > epsilon
    # Bun and Steinke 2016, proposition 1.3, is a looser bound: ours must allow at least its rho.
    loose = (math.sqrt(math.log(1 / delta) + epsilon) - math.sqrt(math.log(1 / delta))) ** 2
    assert rho >= loose
    assert rho <= epsilon


@settings(deadline=None, max_examples=40)
@given(st.floats(1e-3, 100), st.floats(-300, -3))
def test_rho_never_promises_more_than_was_asked_for(epsilon, exponent):
    """The safe side: OpenDP's own conversion of the rho never comes out above the epsilon."""
    delta = 10**exponent
    try:
        rho = rho_for(epsilon=epsilon, delta=delta)
    except ProvisioningError:
        return  # no rho at all fits
    assert epsilon_of(rho=rho, delta=delta) <= epsilon


def test_shares_add_up_exactly_and_no_bit_goes_over():
    budget = Budget(Fraction(rho_for(epsilon=1, delta=1e-9)))
    for number in range(3):
        budget.measure([1, 2, 3], budget.rho / 7, what=f"{number}")
    budget.select([1.0, 2.0], budget.rho / 7, what="choice")
    budget.measure([1], budget.rho - budget.spent, what="rest")
    assert budget.spent == budget.rho
    with pytest.raises(ProvisioningError, match="over"):
        budget.measure([1], Fraction(1, 10**12), what="one more")
    assert budget.spent == budget.rho


@pytest.mark.parametrize("rho", [Fraction(1, 3), Fraction(1, 1000)])
def test_a_share_is_never_less_than_what_the_noise_costs(rho):
    budget = Budget(rho)
    _, sigma = budget.measure([0], rho, what="x")
    assert Fraction(1) / (2 * Fraction(sigma) ** 2) <= rho
    assert sigma == pytest.approx(math.sqrt(1 / (2 * float(rho))), rel=1e-9)


def test_a_share_of_nothing_buys_nothing():
    budget = Budget(Fraction(1))
    budget.measure([0], Fraction(1), what="all")
    with pytest.raises(ProvisioningError):
        budget.select([0.0, 1.0], Fraction(1, 2), what="more")


def residuals(counts: list[int], rho: Fraction, draws: int) -> tuple[np.ndarray, float]:
    budget = Budget(rho)
    noisy, sigma = budget.measure(counts * draws, rho, what="test")
    return np.array(noisy) - np.array(counts * draws), sigma


@pytest.mark.parametrize("rho", [Fraction(1, 2), Fraction(1, 50)])
def test_noise_fits_the_discrete_gaussian(rho):
    """Chi-squared goodness of fit on whole numbers, cells of at least 20 expected draws."""
    found, sigma = residuals([0], rho, 20_000)
    reach = math.ceil(12 * sigma)
    support = np.arange(-reach, reach + 1)
    chances = np.exp(-(support**2) / (2 * sigma**2))
    chances /= chances.sum()
    inner = support[chances * len(found) >= 20]
    low, high = inner.min(), inner.max()
    expected = np.array(
        [
            chances[support < low].sum(),
            *chances[(support >= low) & (support <= high)],
            chances[support > high].sum(),
        ]
    )
    clipped = np.clip(found.astype(np.int64), low - 1, high + 1)
    seen = np.bincount(clipped - (low - 1), minlength=len(expected))
    assert stats.chisquare(seen, expected * len(found)).pvalue > FALSE_ALARM


def test_neighbouring_tables_are_measured_with_the_stated_sigma():
    """Both neighbours' histograms: right mean (z test) and variance (chi-squared bounds)."""
    draws = 20_000
    for count in (10, 11):
        found, sigma = residuals([count], Fraction(1, 20), draws)
        assert abs(found.mean()) < stats.norm.isf(FALSE_ALARM / 2) * sigma / math.sqrt(draws)
        ratio = draws * found.var() / sigma**2
        low, high = stats.chi2.ppf([FALSE_ALARM / 2, 1 - FALSE_ALARM / 2], draws)
        assert low < ratio < high


def test_the_selection_follows_the_exponential_mechanism():
    """Two scores one apart: the odds are exp(epsilon / 2) with epsilon = sqrt(8 rho)."""
    draws, rho = 3_000, Fraction(1, 2)
    wins = sum(Budget(rho).select([0.0, 1.0], rho, what="x") for _ in range(draws))
    expected = 1 / (1 + math.exp(-math.sqrt(8 * float(rho)) / 2))
    assert stats.binomtest(wins, draws, expected).pvalue > FALSE_ALARM


@pytest.mark.parametrize("sensitivity", [2, 9])
def test_noise_grows_with_the_rows_that_one_person_may_have(sensitivity):
    rho = Fraction(1, 20)
    _, one = Budget(rho).measure([0], rho, what="x")
    _, many = Budget(rho).measure([0], rho, what="x", sensitivity=sensitivity)
    assert many == pytest.approx(sensitivity * one, rel=1e-9)
    assert Fraction(sensitivity**2) / (2 * Fraction(many) ** 2) <= rho


def test_a_choice_between_scores_that_one_person_moves_more_is_noisier():
    draws, rho, sensitivity = 3_000, Fraction(1, 2), 3
    wins = sum(
        Budget(rho).select([0.0, 1.0], rho, what="x", sensitivity=sensitivity) for _ in range(draws)
    )
    expected = 1 / (1 + math.exp(-math.sqrt(8 * float(rho)) / (2 * sensitivity)))
    assert stats.binomtest(wins, draws, expected).pvalue > FALSE_ALARM


def test_a_part_is_paid_out_of_the_whole_and_says_where_it_went():
    whole = Budget(Fraction(1))
    part = whole.part(Fraction(1, 4))
    part.measure([1], Fraction(1, 4), what="column age")
    whole.join(part, where="visits")
    assert whole.spent == Fraction(1, 4)
    assert whole.charges[0].what == "visits: column age"
    with pytest.raises(ProvisioningError, match="over"):
        whole.part(Fraction(4, 5))


def test_a_part_is_gone_from_the_whole_at_once_and_its_rest_comes_back():
    whole = Budget(Fraction(1))
    part = whole.part(Fraction(3, 4))
    for attempt in (whole.part, lambda rho: whole.measure([1], rho, what="meanwhile")):
        with pytest.raises(ProvisioningError, match="over"):
            attempt(Fraction(1, 2))
    assert whole.left == Fraction(1, 4)
    part.measure([1], Fraction(1, 4), what="x")
    assert whole.left == Fraction(1, 4)
    whole.join(part, where="visits")
    assert whole.left == Fraction(3, 4)


def test_a_part_that_never_joins_stays_spent():
    whole = Budget(Fraction(1))
    whole.part(Fraction(1))
    with pytest.raises(ProvisioningError, match="over"):
        whole.measure([1], Fraction(1, 100), what="x")


def test_only_a_part_of_the_budget_joins_it_and_only_once():
    whole = Budget(Fraction(1))
    part = whole.part(Fraction(1, 2))
    part.measure([1], Fraction(1, 2), what="x")
    with pytest.raises(ProvisioningError, match="given out"):
        whole.join(Budget(Fraction(1, 2)), where="visits")
    whole.join(part, where="visits")
    with pytest.raises(ProvisioningError, match="given out"):
        whole.join(part, where="visits")
    inner = whole.part(Fraction(1, 4))
    inner.part(Fraction(1, 8))
    with pytest.raises(ProvisioningError, match="whole"):
        whole.join(inner, where="visits")
    assert whole.spent == Fraction(1, 2)


def test_counts_of_any_shape_keep_it():
    noisy, _ = Budget(Fraction(1)).measure(np.zeros((2, 3), int), Fraction(1), what="x")
    assert noisy.shape == (2, 3)


@pytest.mark.parametrize("sensitivity", [0, -1, math.nan, math.inf, True, 0.5])
def test_a_sensitivity_that_would_mean_no_noise_is_refused_before_anything_is_drawn(sensitivity):
    budget = Budget(Fraction(1))
    with pytest.raises(ProvisioningError, match="sensitivity"):
        budget.measure([5, 7], Fraction(1, 2), what="x", sensitivity=sensitivity)
    if sensitivity != 0.5:
        with pytest.raises(ProvisioningError, match="sensitivity"):
            budget.select([5.0, 7.0], Fraction(1, 2), what="x", sensitivity=sensitivity)
    assert not budget.charges


@pytest.mark.parametrize("rho", [Fraction(0), Fraction(-1)])
def test_a_share_that_is_none_is_an_error_of_ours(rho):
    budget = Budget(Fraction(1))
    with pytest.raises(ProvisioningError, match="share"):
        budget.measure([5, 7], rho, what="x")
    with pytest.raises(ProvisioningError, match="share"):
        budget.select([5.0], rho, what="x")


def test_a_choice_among_nothing_is_an_error_of_ours():
    with pytest.raises(ProvisioningError, match="nothing"):
        Budget(Fraction(1)).select([], Fraction(1, 2), what="x")
