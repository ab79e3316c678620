"""All pairs at once give what each pair gives by itself."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manatee.provisioning.estimation import (
    Clique,
    Measurement,
    estimate,
    junction_tree,
    pair_cells,
    pair_marginals,
    tree_cells,
)

NAMES = "abcdefg"
SIZES = {"a": 3, "b": 2, "c": 4, "d": 2, "e": 3, "f": 2, "g": 5}
Cliques = st.lists(
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True).map(tuple), max_size=7
)


def model(measured: list[Clique], seed: int = 1):  # type: ignore[no-untyped-def]
    sampler = np.random.default_rng(seed)
    found = [
        Measurement(columns, sampler.uniform(0, 50, [SIZES[name] for name in columns]), 1.0)
        for columns in measured
    ]
    return estimate(SIZES, found, 100.0, iterations=15).marginals


@settings(max_examples=60, deadline=None)
@given(measured=Cliques, seed=st.integers(0, 99))
def test_every_pairs_marginal_is_the_one_that_projecting_gives(
    measured: list[Clique], seed: int
) -> None:
    marginals = model(measured, seed)
    found = pair_marginals(marginals)
    assert set(found) == set(itertools.combinations(NAMES, 2))
    for pair, values in found.items():
        np.testing.assert_allclose(values, marginals.project(pair), rtol=1e-9, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(measured=Cliques)
def test_there_is_a_tree_of_no_more_cells_than_is_said(measured: list[Clique]) -> None:
    """Eliminating by least fill-in finds one, or one little larger: it is a heuristic itself."""
    tree = junction_tree(SIZES, measured)
    for pair, cells in pair_cells(tree, SIZES).items():
        assert tree_cells(SIZES, [*measured, pair]) <= 1.5 * cells


def test_a_pair_within_a_clique_costs_nothing() -> None:
    tree = junction_tree(SIZES, [("a", "b", "c"), ("c", "d")])
    now = tree_cells(SIZES, [("a", "b", "c"), ("c", "d")])
    assert pair_cells(tree, SIZES)["a", "c"] == now


def test_a_pair_from_two_parts_costs_its_own_cells() -> None:
    measured: list[Clique] = [("a", "b"), ("c", "d")]
    found = pair_cells(junction_tree(SIZES, measured), SIZES)
    assert found["a", "c"] == tree_cells(SIZES, measured) + SIZES["a"] * SIZES["c"]


def test_closing_a_chain_ties_one_end_to_every_link() -> None:
    measured: list[Clique] = [("a", "b"), ("b", "c"), ("c", "d")]
    found = pair_cells(junction_tree(SIZES, measured), SIZES)["a", "d"]
    a, b, c, d = (SIZES[name] for name in "abcd")
    assert found - tree_cells(SIZES, measured) == min(a * b * c + a * d * c, d * b * c + d * a * b)


def test_impossible_cells_do_not_divide_by_zero() -> None:
    marginals = model([("a", "b"), ("b", "c")])
    for values in marginals.values:
        values[..., 0] = 0.0
    with np.errstate(all="raise"):
        assert all(np.isfinite(values).all() for values in pair_marginals(marginals).values())


@pytest.mark.parametrize("n_columns", [1, 2])
def test_a_model_of_hardly_any_columns_has_hardly_any_pairs(n_columns: int) -> None:
    sizes = {name: SIZES[name] for name in NAMES[:n_columns]}
    marginals = estimate(sizes, [], 10.0).marginals
    assert len(pair_marginals(marginals)) == n_columns - 1
    assert len(pair_cells(marginals.tree, sizes)) == n_columns - 1
