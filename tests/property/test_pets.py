"""Properties of mechanisms and groups, for any parameters."""

from fractions import Fraction

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from manatee.contracts import Column
from manatee.provisioning.pets import Context, Generalise
from manatee.provisioning.pets._exact import below_exp, uniform_below
from manatee.provisioning.pets._numbers import windows
from manatee.provisioning.pets._windows import draw_cells


@settings(deadline=None, max_examples=50)
@given(st.floats(0.001, 20), st.integers(1, 60_000), st.data())
def test_piecewise_stays_within_epsilon_and_its_cells(epsilon, steps, data):
    told = windows(steps, Fraction(epsilon))
    assert Fraction(told.inside, told.outside) <= below_exp(Fraction(epsilon))
    step = data.draw(st.integers(0, steps))
    ends = [0, told.inside * told.window - 1, told.inside * told.window, told.total - 1]
    ends = [end for end in ends if end < told.total]
    width = ((told.total - 1).bit_length() + 7) // 8
    words = b"".join(end.to_bytes(width, "little") for end in ends)
    cells = draw_cells(np.full(len(ends), step), told, lambda _size: words)
    assert ((cells >= 0) & (cells < told.cells)).all()


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 2**16))
def test_every_limit_is_drawn_exactly_uniformly(limit):
    width = 1 if limit <= 256 else 2
    words = np.arange(256**width, dtype=f"<u{width}")[::-1].tobytes()  # those to reject come first
    place = 0

    def source(size):
        nonlocal place
        place += size
        return words[place - size : place]

    drawn = uniform_below(limit, 256**width - 256**width % limit, source)
    assert set(np.bincount(drawn, minlength=limit).tolist()) == {256**width // limit}


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 100), min_size=1), st.integers(2, 50))
def test_a_generalised_number_lies_in_the_group_it_stands_for(values, width):
    column = Column("x", "integer", minimum=0, maximum=100)
    told = Generalise(width=float(width)).begin(column, Context()).apply(pa.array(values))
    assert [x // width for x in told.to_pylist()] == [x // width for x in values]
