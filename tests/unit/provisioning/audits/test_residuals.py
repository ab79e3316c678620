"""Noise is held to its claimed size; noise that comes back is found. Rates are stated."""

from fractions import Fraction
from functools import partial

import numpy as np
import pytest

from manatee.errors import ProvisioningError
from manatee.provisioning.audits import check_repeats, check_residuals, in_fresh_processes
from manatee.provisioning.audits._broken import seed_of_the_process

SIGMA = 5.0


def noise(n_cells, sigma=SIGMA, seed=0):
    return np.random.default_rng(seed).normal(0, sigma, n_cells)


def test_right_noise_passes_a_hundred_times():
    """At a false-alarm rate of 1e-6 each: with these seeds, never."""
    for seed in range(100):
        assert check_residuals(noise(200, seed=seed), np.zeros(200), SIGMA).passed


def test_the_stated_false_alarm_rate_holds():
    """3,000 checks at 1%: 30 alarms are allowed on average; 66 have a chance below 1e-7."""
    alarms = sum(
        not check_residuals(noise(40, seed=seed), np.zeros(40), SIGMA, false_alarm=0.01).passed
        for seed in range(3_000)
    )
    assert 5 < alarms < 66


@pytest.mark.parametrize(
    ("released", "word"),
    [
        (noise(200, SIGMA / 2), "size"),
        (noise(200, SIGMA * 2), "size"),
        (noise(200) + SIGMA, "mean"),
        (np.repeat(noise(200), 2), "neighbouring"),
        (np.zeros(200), "size"),
    ],
)
def test_wrong_noise_is_told(released, word):
    finding = check_residuals(released, np.zeros(len(released)), SIGMA)
    assert not finding.passed
    assert word in finding.why


def test_too_little_to_judge_is_refused_rather_than_passed():
    with pytest.raises(ProvisioningError, match="30"):
        check_residuals([1.0] * 5, [0.0] * 5, SIGMA)
    with pytest.raises(ProvisioningError, match="no surprise"):
        check_repeats([[1.0, 2.0], [1.0, 2.0]], SIGMA)
    with pytest.raises(ProvisioningError):
        check_repeats([noise(30)], SIGMA)


def test_noise_that_comes_back_is_found():
    runs = [noise(30, seed=seed).round() for seed in (1, 2, 3)]
    assert check_repeats(runs, SIGMA).passed
    assert not check_repeats([*runs, runs[0]], SIGMA).passed


def test_a_seed_fixed_where_the_process_starts_shows_in_fresh_processes_only():
    """Within one process the noise looks fresh; two processes give the same."""
    run = partial(seed_of_the_process, [0, 1], 40, Fraction(1, 50), None)
    here = [list(run().numbers.values()) for _ in range(3)]
    assert check_repeats(here, SIGMA).passed
    elsewhere = [list(output.numbers.values()) for output in in_fresh_processes(run, 2)]
    assert not check_repeats(elsewhere, SIGMA).passed
