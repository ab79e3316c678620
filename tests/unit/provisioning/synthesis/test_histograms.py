"""Merged cells follow from released counts by a rule, never from the table."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from manatee.provisioning.counting import Attribute
from manatee.provisioning.noise import Budget
from manatee.provisioning.synthesis._histograms import (
    FEWEST,
    MOST,
    Released,
    histogram,
    n_merged,
    on_simplex,
    release,
)
from manatee.provisioning.synthesis._task import least_variance

from .conftest import ATTRIBUTES, people


def released(name: str, counts: list[float]) -> Released:
    return Released({name: np.array(counts)}, {name: 1.0}, float(sum(counts)))


def test_more_records_or_less_noise_give_more_cells() -> None:
    assert n_merged(1338, 24.5) == 6
    assert n_merged(1338, 3.3) > 6
    assert n_merged(10, 100) == FEWEST
    assert n_merged(1e9, 1) == MOST


def test_neighbours_join_to_equal_mass_and_missing_stays_alone() -> None:
    item = Attribute("x", 9, ordered=True, n_values=8)
    found = histogram(item, released("x", [10, 10, 10, 10, 5, 5, 5, 5, 7]), 3)
    assert found.groups.tolist() == [0, 0, 1, 1, 2, 2, 2, 2, 3]
    assert (np.diff(found.groups[:8]) >= 0).all()
    assert found.merge(found.fine).sum() == pytest.approx(67)


def test_the_rarest_categories_join() -> None:
    item = Attribute("x", 5, ordered=False, n_values=5)
    found = histogram(item, released("x", [1, 50, 2, 40, 3]), 3)
    groups = found.groups
    assert groups[0] == groups[2] == groups[4]
    assert len({groups[0], groups[1], groups[3]}) == 3


def test_few_cells_are_left_alone() -> None:
    item = Attribute("x", 3, ordered=True, n_values=3)
    assert histogram(item, released("x", [1, 2, 3]), 3).groups.tolist() == [0, 1, 2]


def test_a_merged_count_is_measured_with_the_noise_of_all_its_cells() -> None:
    item = Attribute("x", 4, ordered=True, n_values=4)
    found = histogram(item, released("x", [1.0, 1.0, 1.0, 97.0]), 2).measurement()
    assert found.merged is not None
    assert found.merged.sum() == 4
    assert found.counts.sum() == pytest.approx(100)


def test_the_record_count_is_noisy_and_near() -> None:
    budget = Budget(Fraction(1))
    shares = {item.name: Fraction(1, 4) for item in ATTRIBUTES}
    found = release(people(1000), budget, shares, contribution=1)
    assert found.total == pytest.approx(1000, abs=80)
    assert budget.spent == 1


@pytest.mark.parametrize("total", [0.5, 10.0, 100.0])
def test_counts_on_the_simplex_are_the_nearest(total: float) -> None:
    sampler = np.random.default_rng(3)
    counts = sampler.normal(5, 10, 12)
    found = on_simplex(counts, total)
    assert found.sum() == pytest.approx(total)
    assert (found >= 0).all()
    for _ in range(200):
        other = sampler.dirichlet(np.ones(12)) * total
        assert ((found - counts) ** 2).sum() <= ((other - counts) ** 2).sum() + 1e-9


def test_least_variance_groups_beat_every_other_grouping() -> None:
    mass = np.array([9.0, 1, 1, 1, 8, 1, 1, 9])

    def within(groups: list[int]) -> float:
        cost = 0.0
        for group in set(groups):
            cells = np.flatnonzero(np.array(groups) == group)
            mean = (mass[cells] * cells).sum() / mass[cells].sum()
            cost += float((mass[cells] * (cells - mean) ** 2).sum())
        return cost

    best = within(least_variance(mass, 3).tolist())
    for first in range(1, 7):
        for second in range(first + 1, 8):
            groups = [0] * first + [1] * (second - first) + [2] * (8 - second)
            assert best <= within(groups) + 1e-9
