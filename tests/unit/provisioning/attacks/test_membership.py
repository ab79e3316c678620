"""Attacks catch mechanisms that leak, leave alone those that do not, and state their errors."""

import math

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from manatee.errors import ProvisioningError
from manatee.provisioning import insured_persons
from manatee.provisioning.attacks import epsilon_from_guesses, membership_attacks
from manatee.provisioning.attacks._densities import copy_score, points_of, unusual
from manatee.provisioning.attacks._measures import judge

PERSONS = insured_persons(300, seed=2)


def copies_of_half():
    """The leaky baseline: twins that are half of the table."""
    sampler = np.random.default_rng(11)
    return lambda table: table.take(
        pa.array(sampler.choice(table.num_rows, table.num_rows // 2, replace=False))
    )


def other_people():
    """Twins that have nothing to do with the table: perfectly private."""
    sampler = np.random.default_rng(12)
    return lambda _table: insured_persons(150, seed=int(sampler.integers(1 << 30)))


def attack(make, columns, table=PERSONS, **options):
    found = membership_attacks(
        table,
        columns,
        make,
        epsilon=1,
        delta=1e-9,
        sampler=np.random.default_rng(0),
        **{"n_twins": 6, **options},
    )
    return {result.attack: result for result in found}


@pytest.fixture(scope="module")
def leaky(columns):
    return attack(copies_of_half(), columns)


def test_a_copy_of_half_the_table_is_caught_by_every_attack_on_everybody(leaky):
    for name in ("density by kernels", "density by histograms", "shared values", "shadow twins"):
        assert not leaky[name].within, name
        assert leaky[name].epsilon_at_least > 1.2
        assert leaky[name].auc.low > 0.6


def test_the_copied_half_is_found_without_accusing_others(leaky):
    found = leaky["shared values"].tpr_at_low_fpr
    assert found.low > 0.3
    assert found.low > found.bound == pytest.approx(0.01 * math.e, rel=1e-6)


def test_a_twin_of_other_people_stays_within_any_promise(columns):
    """False-alarm rate: 6 attacks at 1e-6."""
    for result in attack(other_people(), columns).values():
        assert result.within
        assert result.advantage.low <= 0 <= result.advantage.high
        assert 0 < result.auc.bound < 1


def test_unusual_people_who_are_copied_show_in_the_attack_on_unusual_people(columns):
    """A mechanism that copies the most unusual twentieth and is private for everybody else."""
    persons = points_of(PERSONS, columns)
    rare = PERSONS.take(pa.array(unusual(persons, 0.05)))
    charges = set(rare["charges"].to_pylist())
    others = other_people()

    def copies_the_unusual(table):
        mask = [charge in charges for charge in table["charges"].to_pylist()]
        return pa.concat_tables([others(table), table.filter(pa.array(mask))])

    found = attack(copies_the_unusual, columns, n_twins=40)
    assert not found["shadow twins, unusual people"].within
    assert found["shadow twins"].advantage.value < 0.2


def test_a_rare_value_tells_more_than_a_common_one(columns):
    persons = points_of(PERSONS, columns)
    twin = points_of(PERSONS.slice(0, 1), columns)
    scores = copy_score(twin, persons)
    assert scores.argmax() == 0
    assert scores[0] > 2 * np.median(scores)


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 3.0])
def test_guesses_prove_an_epsilon_exactly_as_rarely_as_stated(epsilon):
    """At the mechanism's own epsilon, the count that would refute it has chance `error` at most
    and the next smaller count more: the limit is as sharp as the theorem."""
    heads, guesses, error = 1 / (1 + math.exp(-epsilon)), 400, 1e-3
    refuting = next(
        right
        for right in range(guesses + 1)
        if epsilon_from_guesses(right, guesses, guesses, delta=0.0, error=error) > epsilon
    )
    assert stats.binom.sf(refuting - 1, guesses, heads) <= error
    assert stats.binom.sf(refuting - 2, guesses, heads) > error


def test_delta_weakens_what_guesses_prove():
    proven = [
        epsilon_from_guesses(390, 400, 400, delta=delta, error=1e-3) for delta in (0.0, 1e-5, 1e-3)
    ]
    assert proven[0] >= proven[1] > proven[2]
    assert epsilon_from_guesses(200, 400, 400, delta=0.0, error=1e-3) == 0


def test_ties_are_broken_at_random_and_prove_nothing():
    """An attack that has no idea must not profit from the order of the persons."""
    sampler = np.random.default_rng(3)
    members = [np.arange(400) < 200 for _ in range(4)]
    result = judge(
        "none",
        [np.zeros(400)] * 4,
        members,
        epsilon=1,
        delta=1e-9,
        false_alarm=1e-6,
        sampler=sampler,
    )
    assert result.auc.low < 0.5 < result.auc.high
    assert result.epsilon_at_least == 0


def test_progress_runs_and_sizes_are_bounded(columns):
    steps = []
    found = attack(
        other_people(),
        columns,
        n_twins=4,
        max_persons=100,
        progress=lambda step, part: steps.append(part),
    )
    assert steps == sorted(steps)
    assert steps[-1] == 1
    assert found["density by kernels"].n_persons == 400


@pytest.mark.parametrize(("rows", "twins"), [(39, 6), (300, 3)])
def test_too_little_to_attack_is_refused(columns, rows, twins):
    with pytest.raises(ProvisioningError):
        attack(other_people(), columns, PERSONS.slice(0, rows), n_twins=twins)


def test_a_leak_about_one_in_fifty_is_proven_by_the_surest_guesses():
    """All others are hopeless: an attacker who had to guess them would prove nothing."""
    sampler = np.random.default_rng(5)
    members, scores = [], []
    for _ in range(4):
        inside = sampler.random(1000) < 0.5
        score = sampler.random(1000)
        score[np.flatnonzero(inside)[:20]] += 1
        members.append(inside)
        scores.append(score)
    result = judge("few", scores, members, epsilon=1, delta=0.0, false_alarm=1e-6, sampler=sampler)
    assert result.n_guesses == 80
    assert result.epsilon_at_least > 1.4
