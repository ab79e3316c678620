"""Whatever was measured, the model is one distribution, and the best one for what was measured."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from manatee.provisioning.estimation import Clique, Measurement, draw, estimate

SIZES = {"a": 2, "b": 3, "c": 2, "d": 3, "e": 2}
NAMES = tuple(SIZES)
cliques = st.lists(
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True).map(tuple),
    min_size=1,
    max_size=5,
)
seeds = st.integers(0, 10_000)


def shape(columns: Clique) -> list[int]:
    return [SIZES[name] for name in columns]


def marginal(joint: np.ndarray, columns: Clique) -> np.ndarray:
    away = tuple(place for place, name in enumerate(NAMES) if name not in columns)
    kept = [name for name in NAMES if name in columns]
    return joint.sum(axis=away).transpose([kept.index(name) for name in columns])


@settings(deadline=None, max_examples=60)
@given(measured=cliques, seed=seeds, total=st.floats(1, 1e6))
def test_marginals_of_any_noisy_counts_are_those_of_one_distribution(
    measured: list[Clique], seed: int, total: float
) -> None:
    sampler = np.random.default_rng(seed)
    noisy = [
        Measurement(item, sampler.normal(total / 4, total / 2, shape(item)), total / 10)
        for item in measured
    ]
    model = estimate(SIZES, noisy, total, iterations=40).marginals
    for columns, values in zip(model.tree.cliques, model.values, strict=True):
        assert (values >= 0).all()
        assert np.isclose(values.sum(), total, rtol=1e-9)
        for name in columns:
            np.testing.assert_allclose(
                model.project((name,)),
                values.sum(axis=tuple(p for p, n in enumerate(columns) if n != name)),
                rtol=1e-6,
                atol=total * 1e-9,
            )
    whole = model.project(NAMES)  # the joint: every other marginal must be one of its own
    for pair in itertools.combinations(NAMES, 2):
        np.testing.assert_allclose(
            model.project(pair), marginal(whole, pair), rtol=1e-6, atol=total * 1e-9
        )


@settings(deadline=None, max_examples=40)
@given(measured=cliques, seed=seeds)
def test_exact_marginals_of_a_table_are_found_again(measured: list[Clique], seed: int) -> None:
    joint = np.random.default_rng(seed).dirichlet(np.full(72, 2.0)).reshape(shape(NAMES)) * 1000
    exact = [Measurement(item, marginal(joint, item), 1.0) for item in measured]
    model = estimate(SIZES, exact, 1000.0, iterations=600).marginals
    for item in exact:
        np.testing.assert_allclose(model.project(item.columns), item.counts, atol=5.0)


@settings(deadline=None, max_examples=40)
@given(measured=cliques, seed=seeds)
def test_no_distribution_nearby_fits_the_measurements_better(
    measured: list[Clique], seed: int
) -> None:
    """Against brute force over the whole joint: any small mixture with another one is no better."""
    sampler = np.random.default_rng(seed)
    noisy = [Measurement(item, sampler.uniform(0, 300, shape(item)), 10.0) for item in measured]
    model = estimate(SIZES, noisy, 1000.0, iterations=600).marginals
    whole = model.project(NAMES)

    def loss(joint: np.ndarray) -> float:
        return sum(
            float((((marginal(joint, item.columns) - item.counts) / item.sigma) ** 2).sum())
            for item in noisy
        )

    found = loss(whole)
    for _ in range(20):
        other = sampler.dirichlet(np.full(72, 0.2)).reshape(shape(NAMES)) * 1000
        assert loss(0.99 * whole + 0.01 * other) >= found * (1 - 1e-3) - 1e-6


@settings(deadline=None, max_examples=40)
@given(measured=cliques, seed=seeds, n_records=st.integers(1, 400))
def test_rows_drawn_from_a_model_are_as_many_as_asked_for_and_in_the_domain(
    measured: list[Clique], seed: int, n_records: int
) -> None:
    sampler = np.random.default_rng(seed)
    noisy = [Measurement(item, sampler.normal(5, 9, shape(item)), 3.0) for item in measured]
    rows = draw(estimate(SIZES, noisy, 50.0, iterations=20).marginals, n_records, sampler)
    assert list(sorted(rows)) == list(NAMES)
    for name, codes in rows.items():
        assert len(codes) == n_records
        assert ((codes >= 0) & (codes < SIZES[name])).all()
