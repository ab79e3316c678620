"""Properties of mechanisms and groups, for any parameters."""

from fractions import Fraction

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from manatee.contracts import Column
from manatee.provisioning.pets import Context, Generalise
from manatee.provisioning.pets._exact import below_exp
from manatee.provisioning.pets._numbers import draw_cells, windows


@settings(deadline=None, max_examples=50)
@given(st.floats(0.001, 20), st.integers(1, 60_000), st.data())
def test_piecewise_stays_within_epsilon_and_its_cells(epsilon, steps, data):
    told = windows(steps, epsilon)
    assert Fraction(told.inside, told.outside) <= below_exp(Fraction(epsilon))
    step = data.draw(st.integers(0, steps))
    ends = np.array([0, told.inside * told.window - 1, told.inside * told.window, told.total - 1])
    ends = ends[ends < told.total]
    cells = draw_cells(np.full(len(ends), step), told, lambda limit, size: ends)
    assert ((cells >= 0) & (cells < told.cells)).all()


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 100), min_size=1), st.integers(2, 50))
def test_a_generalised_number_lies_in_the_group_it_stands_for(values, width):
    column = Column("x", "integer", minimum=0, maximum=100)
    told = Generalise(width=float(width)).begin(column, Context()).apply(pa.array(values))
    assert [x // width for x in told.to_pylist()] == [x // width for x in values]
