"""What error rates say about privacy, and what privacy says about error rates.

Someone tells two neighbouring tables apart with a true-positive rate `tpr` (says "with" when it
is with) and a false-positive rate `fpr`. A guarantee limits the pairs that can be had; read the
other way round, pairs that were seen give a lower bound on what the mechanism really spends.

Sources: Kairouz, Oh, Viswanath 2015 for (epsilon, delta); Dong, Roth, Su 2022 for Gaussian
differential privacy; Bun, Steinke 2016 for rho, whose Renyi divergences cannot grow when the
output is reduced to one yes or no.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]

_ORDERS = 1 + np.geomspace(1e-3, 1e4, 400)


def upper_limit(successes: int, trials: int, error: float) -> float:
    """Return the one-sided Clopper-Pearson upper limit of a rate; wrong with chance `error`."""
    if successes >= trials:
        return 1.0
    return float(stats.beta.isf(error, successes + 1, trials - successes))


def lower_limit(successes: int, trials: int, error: float) -> float:
    """Return the one-sided Clopper-Pearson lower limit of a rate; wrong with chance `error`."""
    if successes <= 0:
        return 0.0
    return float(stats.beta.ppf(error, successes, trials - successes + 1))


def rho_at_least(tpr: float, fpr: float) -> float:
    """Return the least rho whose zCDP allows these rates; 0 unless tpr > fpr.

    Monotone: may be called with a lower limit of `tpr` and an upper limit of `fpr`.
    """
    if tpr <= fpr:
        return 0.0
    if fpr <= 0 or tpr >= 1:
        return math.inf
    return max(_renyi_per_order(tpr, fpr), _renyi_per_order(fpr, tpr))


def _renyi_per_order(first: float, second: float) -> float:
    """Return max over orders a of D_a(Bernoulli(first) || Bernoulli(second)) / a."""
    yes = _ORDERS * math.log(first) + (1 - _ORDERS) * math.log(second)
    no = _ORDERS * math.log1p(-first) + (1 - _ORDERS) * math.log1p(-second)
    divergence = np.logaddexp(yes, no) / (_ORDERS - 1)
    return float((divergence / _ORDERS).max())


def mu_at_least(tpr: float, fpr: float) -> float:
    """Return the least mu whose Gaussian differential privacy allows these rates."""
    if tpr <= fpr:
        return 0.0
    return float(stats.norm.ppf(tpr) - stats.norm.ppf(fpr))


def epsilon_at_least(tpr: float, fpr: float, delta: float) -> float:
    """Return the least epsilon that, with `delta`, allows these rates."""
    found = 0.0
    for good, bad in ((tpr, fpr), (1 - fpr, 1 - tpr)):
        if good - delta > 0:
            found = max(found, math.inf if bad <= 0 else math.log((good - delta) / bad))
    return found


def best_tpr(fpr: float | Floats, *, epsilon: float, delta: float) -> Floats:
    """Return the highest true-positive rate that (epsilon, delta) allows at `fpr`."""
    rates = np.asarray(fpr, dtype=np.float64)
    grows = np.exp(min(epsilon, 700.0)) * rates + delta
    saturates = 1 - math.exp(-epsilon) * (1 - delta - rates)
    found: Floats = np.clip(np.minimum(grows, saturates), 0.0, 1.0)
    return found


def best_advantage(*, epsilon: float, delta: float) -> float:
    """Return the greatest tpr - fpr that (epsilon, delta) allows."""
    growth = math.exp(min(epsilon, 700.0))
    return (growth - 1 + 2 * delta) / (growth + 1)


def best_auc(*, epsilon: float, delta: float) -> float:
    """Return the greatest area under the curve of tpr over fpr that (epsilon, delta) allows."""
    rates = np.concatenate([[0.0], np.geomspace(1e-9, 1.0, 20_001)])
    # Rounded up by the trapezes? No: the curve is concave, trapezes lie below it by < 1e-6.
    return min(
        1.0, float(np.trapezoid(best_tpr(rates, epsilon=epsilon, delta=delta), rates)) + 1e-6
    )
