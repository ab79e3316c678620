"""Every mechanism that is broken on purpose is caught, and the one it is a copy of is not.

False-alarm rate: 1e-6 for each statistical audit. Power: with half the noise the distinguisher
misses its mark by five standard deviations at this number of trials; all else that is required
below is a difference without noise, or many times larger than its limit.
"""

import functools

import numpy as np
import pytest

from manatee.errors import ProvisioningError
from manatee.provisioning.audits import Claim, audit_counts, distinguish
from manatee.provisioning.audits._broken import BROKEN, honest
from manatee.provisioning.noise import Budget

TRIALS = 900


def noise(counts, rho):
    noisy, sigma = Budget(rho).measure(counts, rho, what="histogram")
    return [int(count) for count in noisy], sigma


@functools.cache
def audited(name):
    mechanism = honest if name == "honest" else BROKEN[name]
    return {item.audit: item for item in audit_counts(mechanism, noise, trials=TRIALS)}


def test_the_honest_mechanism_passes_every_audit():
    for finding in audited("honest").values():
        assert finding.passed, finding


CAUGHT_BY = {
    "noise halved": {"distinguisher", "residuals"},
    "domain read from data": {"distinguisher"},
    "seed fixed": {"distinguisher", "residuals", "repeats"},
    "sensitivity wrong": {"residuals"},
    "measured twice, charged once": {"charges"},
    "charged zero": {"charges"},
    "charged twice": {"charges"},
    "record count exact": {"distinguisher"},
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_defect_is_caught_by_the_audit_that_is_made_for_it(name):
    found = audited(name)
    assert {audit for audit, item in found.items() if not item.passed} >= CAUGHT_BY[name]


def test_no_single_audit_would_do():
    """Why there are several: each catches a defect that nothing else does."""
    only = {next(iter(audits)) for audits in CAUGHT_BY.values() if len(audits) == 1}
    assert only == {"distinguisher", "residuals", "charges"}


def test_an_exact_leak_is_worth_more_epsilon_than_any_claim():
    """Told apart 600 times of 600: with 1e-6 of doubt, epsilon is at least 3.7 at this delta."""
    count = iter(range(10**6))
    finding = distinguish(
        lambda: {"rows": 10.0, "noise": float(next(count) % 7)},
        lambda: {"rows": 11.0, "noise": float(next(count) % 7)},
        Claim(0.5),
        trials=TRIALS,
    )
    assert not finding.passed
    assert finding.numbers["epsilon at least"] > 3.7


def test_a_name_that_only_one_table_brings_tells_them_apart():
    finding = distinguish(lambda: {"a": 0.0}, lambda: {"a": 0.0, "b": 0.0}, Claim(0.5), trials=300)
    assert not finding.passed


def test_nothing_is_told_of_equal_tables():
    constant = functools.partial(dict, a=1.0)
    assert distinguish(constant, constant, Claim(1e-9), trials=300).passed


def test_too_few_trials_are_refused_rather_than_passed():
    with pytest.raises(ProvisioningError, match="30"):
        distinguish(dict, dict, Claim(1.0), trials=29)


def test_the_stated_false_alarm_rate_holds_at_the_claim_itself():
    """Gaussians exactly as far apart as claimed, 100 audits at a rate of 20%.

    With a fixed seed; 42 alarms or more would have a chance below 1e-6.
    """
    sampler = np.random.default_rng(0)
    alarms = sum(
        not distinguish(
            lambda: {"x": sampler.normal(0.0)},
            lambda: {"x": sampler.normal(1.0)},
            Claim(0.5, gaussian=True),
            trials=90,
            false_alarm=0.2,
        ).passed
        for _ in range(100)
    )
    assert alarms < 42
