"""The model fits noisy counts as `mbi` does, and rows drawn from it are the model's."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
import pytest

from manatee.errors import ProvisioningError
from manatee.provisioning.estimation import (
    Clique,
    Fit,
    Measurement,
    draw,
    draw_counts,
    draw_given,
    estimate,
    junction_tree,
)

SIZES = {"a": 3, "b": 4, "c": 5, "d": 2}
TOTAL = 1000.0

SHAPES: dict[str, list[Clique]] = {
    "chain": [("a", "b"), ("b", "c"), ("c", "d")],
    "ring": [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")],
    "against-the-order": [("c", "a"), ("d", "b"), ("b", "c")],
    "triples": [("d", "a", "b"), ("c", "b", "a")],
    "alone": [("b",)],
}


def joint(seed: int) -> np.ndarray[Any, Any]:
    found = np.random.default_rng(seed).random(tuple(SIZES.values())) ** 3
    return found * TOTAL / found.sum()


def marginal(cells: np.ndarray[Any, Any], columns: Clique) -> np.ndarray[Any, Any]:
    names = list(SIZES)
    return np.einsum(cells, [0, 1, 2, 3], [names.index(name) for name in columns])


def noisy(columns: list[Clique], *, seed: int, sigma: float = 2.0) -> list[Measurement]:
    cells, sampler = joint(seed), np.random.default_rng(seed + 1)
    return [
        Measurement(names, found + sampler.normal(0, sigma, found.shape), sigma)
        for names in columns
        for found in [marginal(cells, names)]
    ]


def full(fit: Fit) -> np.ndarray[Any, Any]:
    """The whole joint distribution, from the potentials: what belief propagation avoids."""
    log = np.zeros(tuple(SIZES.values()))
    names = list(SIZES)
    for columns, values in fit.potentials.items():
        order = sorted(range(len(columns)), key=lambda place: names.index(columns[place]))
        moved = values.transpose(order)
        log = log + moved[tuple(slice(None) if name in columns else None for name in names)]
    found = np.exp(log - log.max())
    return found * TOTAL / found.sum()


@pytest.mark.parametrize("shape", SHAPES)
def test_marginals_are_those_of_the_joint_distribution(shape: str) -> None:
    fit = estimate(SIZES, noisy(SHAPES[shape], seed=3), TOTAL)
    cells = full(fit)
    for length in (1, 2, 3):
        for columns in itertools.permutations(SIZES, length):
            np.testing.assert_allclose(
                fit.marginals.project(columns), marginal(cells, columns), atol=1e-6 * TOTAL
            )


@pytest.mark.parametrize("shape", SHAPES)
def test_the_fit_is_as_good_as_that_of_mbi(shape: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mbi = pytest.importorskip("mbi")
        measured = noisy(SHAPES[shape], seed=5)
        domain = mbi.Domain.fromdict(SIZES)
        linear = [
            mbi.LinearMeasurement(item.counts.ravel(), item.columns, stddev=item.sigma)
            for item in measured
        ]
        model = mbi.estimation.MirrorDescent().estimate(
            domain, linear, known_total=TOTAL, iters=1500
        )
        theirs = sum(
            float(((_datavector(model, item.columns) - item.counts) ** 2).sum())
            / (2 * item.sigma**2)
            for item in measured
        )
    ours = estimate(SIZES, measured, TOTAL, iterations=1500).loss
    assert ours <= theirs * 1.001 + 1e-3


def _datavector(model: Any, columns: Clique) -> np.ndarray[Any, Any]:
    return np.asarray(model.project(columns).datavector(flatten=False))


def test_exact_counts_are_met() -> None:
    measured = noisy(SHAPES["ring"], seed=7, sigma=1e-3)
    fit = estimate(SIZES, measured, TOTAL, iterations=3000)
    for item in measured:
        np.testing.assert_allclose(fit.marginals.project(item.columns), item.counts, atol=1.0)


def test_two_measurements_of_one_marginal_count_by_their_precision() -> None:
    sharp = Measurement(("a",), np.array([100.0, 300.0, 600.0]), 1.0)
    blunt = Measurement(("a",), np.array([600.0, 300.0, 100.0]), 100.0)
    fit = estimate(SIZES, [sharp, blunt], TOTAL, iterations=2000)
    np.testing.assert_allclose(fit.marginals.project(("a",)), sharp.counts, atol=1.0)


def test_a_merged_count_weighs_less_the_more_cells_it_sums() -> None:
    plain = Measurement(("a",), np.zeros(3), 2.0)
    merged = Measurement(("a",), np.zeros(3), 2.0, np.array([1.0, 4.0, 16.0]))
    np.testing.assert_allclose(merged.precision, plain.precision / np.array([1.0, 4.0, 16.0]))


def test_what_nobody_measured_is_uniform_and_what_is_negative_is_not() -> None:
    measured = [Measurement(("a",), np.array([-50.0, 400.0, 650.0]), 5.0)]
    fit = estimate(SIZES, measured, TOTAL, iterations=2000)
    np.testing.assert_allclose(fit.marginals.project(("c",)), np.full(5, TOTAL / 5))
    assert (fit.marginals.project(("a",)) >= 0).all()
    assert fit.marginals.project(("a",)).sum() == pytest.approx(TOTAL)


def test_a_fit_goes_on_from_an_earlier_one() -> None:
    measured = noisy(SHAPES["ring"], seed=9)
    first = estimate(SIZES, measured, TOTAL, iterations=1000)
    again = estimate(SIZES, measured, TOTAL, iterations=1, start=first.potentials)
    assert again.loss == pytest.approx(first.loss, rel=1e-3)


def test_a_model_too_large_to_hold_is_refused() -> None:
    sizes = {f"c{number}": 100 for number in range(4)}
    huge = Measurement(tuple(sizes), np.zeros((1, 1, 1, 1)), 1.0)
    with pytest.raises(ProvisioningError, match="too many columns"):
        estimate(sizes, [huge], TOTAL)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_measured_set_has_a_home_and_shared_columns_run_together(shape: str) -> None:
    tree = junction_tree(SIZES, SHAPES[shape])
    assert all(tree.home(columns) is not None for columns in SHAPES[shape])
    assert {name for clique in tree.cliques for name in clique} == set(SIZES)
    for name in SIZES:
        holders = [index for index, clique in enumerate(tree.cliques) if name in clique]
        tops = [index for index in holders if name not in tree.separators[index]]
        assert len(tops) == 1  # the cliques with a column hang together
        assert all(tree.parents[index] < index for index in holders)


@pytest.mark.parametrize("shape", SHAPES)
def test_drawn_rows_are_within_rounding_of_the_model(shape: str) -> None:
    fit = estimate(SIZES, noisy(SHAPES[shape], seed=11), TOTAL)
    rows = draw(fit.marginals, 20_000, np.random.default_rng(1))
    for columns in SHAPES[shape]:
        found = np.zeros(tuple(SIZES[name] for name in columns))
        np.add.at(found, tuple(rows[name] for name in columns), 1)
        expected = fit.marginals.project(columns) * 20
        assert np.abs(found - expected).max() < 200  # 1 % of the rows; the seed is fixed


@pytest.mark.parametrize("given", [("a",), ("d", "b"), ("a", "b", "c", "d")])
def test_rows_drawn_given_others_keep_them_and_follow_the_model(given: Clique) -> None:
    fit = estimate(SIZES, noisy(SHAPES["ring"], seed=13), TOTAL)
    sampler = np.random.default_rng(2)
    known = draw(fit.marginals, 40_000, sampler)
    rows = draw_given(fit.marginals, {name: known[name] for name in given}, sampler)
    assert all((rows[name] == known[name]).all() for name in given)
    found = np.zeros(tuple(SIZES.values()))
    np.add.at(found, tuple(rows[name] for name in SIZES), 1)
    # the given columns are the model's own, so the whole must be: 5 standard deviations
    expected = full(fit) * 40
    assert (np.abs(found - expected) < 5 * np.sqrt(expected) + 5).all()


def test_given_cells_that_the_model_holds_impossible_are_drawn_all_the_same() -> None:
    counts = np.zeros((3, 4))
    counts[0] = 250.0
    fit = estimate(SIZES, [Measurement(("a", "b"), counts, 1e-6)], TOTAL, iterations=2000)
    rows = draw_given(fit.marginals, {"a": np.full(50, 2)}, np.random.default_rng(3))
    assert all(((rows[name] >= 0) & (rows[name] < SIZES[name])).all() for name in SIZES)


def test_counts_are_rounded_to_their_floor_or_ceiling() -> None:
    weights = np.array([1.0, 2.5, 0.0, 7.3, 3.2])
    for seed in range(50):
        codes = draw_counts(weights, 100, np.random.default_rng(seed))
        found = np.bincount(codes, minlength=5)
        exact = weights / weights.sum() * 100
        assert (np.abs(found - exact) < 1.0 + 1e-9).all()
        assert found.sum() == 100


@pytest.mark.parametrize("n_records", [0, 1, 2])
def test_few_rows_are_drawn_too(n_records: int) -> None:
    fit = estimate(SIZES, noisy(SHAPES["chain"], seed=1), TOTAL)
    rows = draw(fit.marginals, n_records, np.random.default_rng(4))
    assert {len(codes) for codes in rows.values()} == {n_records}
    assert len(draw_counts(np.zeros(3), n_records, np.random.default_rng(4))) == n_records
