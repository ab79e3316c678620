"""Rows are drawn again until they keep the rules, and the rest take over a row that does."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from manatee.errors import ProvisioningError
from manatee.provisioning.relational._hold import ROUNDS, hold

Places = npt.NDArray[np.int64]


def kept_even(rows: pa.Table) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = rows["x"].to_numpy() % 2 == 0
    return found


def test_rows_that_break_a_rule_are_drawn_again_at_their_own_place() -> None:
    sampler = np.random.default_rng(1)

    def draw(places: Places) -> pa.Table:
        return pa.table({"x": sampler.integers(0, 10, len(places)), "place": places})

    rows = hold(1000, draw, kept_even, sampler, table="t")
    assert (rows["x"].to_numpy() % 2 == 0).all()
    assert rows["place"].to_pylist() == list(range(1000))


def test_a_row_that_never_keeps_the_rules_takes_over_one_that_does() -> None:
    calls: list[int] = []

    def draw(places: Places) -> pa.Table:
        calls.append(len(places))
        return pa.table({"x": np.where(places % 3 == 0, 1, 2 * places)})

    rows = hold(9, draw, kept_even, np.random.default_rng(1), table="t")
    assert calls == [9] + [3] * ROUNDS
    found = rows["x"].to_pylist()
    assert [found[place] for place in (1, 2, 4, 5, 7, 8)] == [2, 4, 8, 10, 14, 16]
    assert {found[place] for place in (0, 3, 6)} <= {2, 4, 8, 10, 14, 16}


def test_rules_that_nothing_keeps_are_an_error_that_names_the_table() -> None:
    def draw(places: Places) -> pa.Table:
        return pa.table({"x": np.ones(len(places), np.int64)})

    with pytest.raises(ProvisioningError, match="'visits'"):
        hold(5, draw, kept_even, np.random.default_rng(1), table="visits")
