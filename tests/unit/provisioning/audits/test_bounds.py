"""Error rates and guarantees: closed forms, and each other's inverse."""

import math

import numpy as np
import pytest
from scipy import stats

from manatee.provisioning.audits import (
    best_advantage,
    best_auc,
    best_tpr,
    epsilon_at_least,
    lower_limit,
    mu_at_least,
    rho_at_least,
    upper_limit,
)


@pytest.mark.parametrize("error", [1e-6, 0.025])
def test_limits_are_wrong_exactly_as_often_as_stated_in_the_worst_case(error):
    """Clopper-Pearson by its definition: at the limit, so extreme a count has chance `error`."""
    assert stats.binom.cdf(3, 50, upper_limit(3, 50, error)) == pytest.approx(error)
    assert stats.binom.sf(2, 50, lower_limit(3, 50, error)) == pytest.approx(error)
    assert upper_limit(50, 50, error) == 1
    assert lower_limit(0, 50, error) == 0


@pytest.mark.parametrize("mu", [0.3, 1.0, 2.5])
def test_a_gaussian_mechanism_is_bounded_by_its_own_mu_and_rho(mu):
    for threshold in np.linspace(-3, 5, 40):
        fpr, tpr = stats.norm.sf(threshold), stats.norm.sf(threshold - mu)
        assert mu_at_least(tpr, fpr) == pytest.approx(mu)
        assert 0 <= rho_at_least(tpr, fpr) <= mu**2 / 2
    assert max(
        rho_at_least(stats.norm.sf(t - mu), stats.norm.sf(t)) for t in np.linspace(-3, 8, 100)
    ) > 0.5 * (mu**2 / 2)


def test_no_difference_proves_nothing():
    for rates in ((0.3, 0.3), (0.2, 0.4), (0.0, 1.0)):
        assert rho_at_least(*rates) == mu_at_least(*rates) == 0
    assert epsilon_at_least(0.3, 0.3, 1e-9) == 0


@pytest.mark.parametrize(("epsilon", "delta"), [(0.1, 1e-9), (1, 1e-5), (3, 0.01)])
def test_the_best_attack_needs_exactly_the_promised_epsilon(epsilon, delta):
    for fpr in (0.001, 0.01, 0.2, 0.6):
        tpr = float(best_tpr(fpr, epsilon=epsilon, delta=delta))
        assert epsilon_at_least(tpr, fpr, delta) == pytest.approx(epsilon, rel=1e-6)
        assert tpr - fpr <= best_advantage(epsilon=epsilon, delta=delta) + 1e-12


def test_randomised_response_reaches_the_bounds():
    """Pure epsilon: the curve has one corner at fpr 1 / (1 + e^epsilon)."""
    epsilon = 1.5
    corner = 1 / (1 + math.exp(epsilon))
    assert best_tpr(corner, epsilon=epsilon, delta=0.0) == pytest.approx(1 - corner)
    assert best_advantage(epsilon=epsilon, delta=0.0) == pytest.approx(1 - 2 * corner)
    assert best_auc(epsilon=epsilon, delta=0.0) == pytest.approx(1 - corner, abs=1e-4)


def test_nothing_promised_bounds_nothing():
    assert best_auc(epsilon=60.0, delta=0.0) == pytest.approx(1.0)
    assert best_tpr(1e-6, epsilon=800.0, delta=0.0) == pytest.approx(1.0)
