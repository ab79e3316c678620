"""Local privacy audited without chance: every word there is, fed once, and all answers counted.

A mechanism gets each word of its source of bytes exactly once for each value. The counts are then
its probabilities, all of them, as fractions: no sampling error, nothing assumed about its code.
"""

from fractions import Fraction

import numpy as np
import pytest

from manatee.provisioning.pets import _windows
from manatee.provisioning.pets._categories import other_bit, unary
from manatee.provisioning.pets._exact import WORD, below_exp, chance, uniform_below
from manatee.provisioning.pets._numbers import windows
from manatee.provisioning.pets._windows import draw_cells, response


class Tape:
    """A source of bytes: every word of a width once, from the last to the first."""

    def __init__(self, width):
        self.words = 256**width
        numbers = np.arange(self.words, dtype="<u4")[::-1].copy()
        self._bytes = numbers.view(np.uint8).reshape(-1, 4)[:, :width].tobytes()
        self._place = 0

    def __call__(self, size):
        self._place += size
        assert self._place <= len(self._bytes), "a word was drawn twice"
        return self._bytes[self._place - size : self._place]

    @property
    def used(self):
        return self._place == len(self._bytes)


def replay(mechanism, width, draw=draw_cells):
    """Return how many words lead to each answer, shape (values, answers)."""
    counts = []
    for step in range(mechanism.steps + 1):
        tape = Tape(width)
        accepted = tape.words - tape.words % mechanism.total
        cells = draw(np.full(accepted, step), mechanism, tape)
        assert tape.used
        counts.append(np.bincount(cells, minlength=mechanism.cells).tolist())
    return counts


def worst_ratio(counts):
    return max(Fraction(max(column), min(column)) for column in zip(*counts, strict=True))


SMALL = [
    pytest.param(response(2, Fraction(1), 16), 1, id="two-answers"),
    pytest.param(response(3, Fraction(1), 16), 1, id="three-answers"),
    pytest.param(response(7, Fraction(1, 3), 1000), 2, id="seven-answers-at-a-third"),
    pytest.param(windows(4, Fraction(2), 3), 1, id="piecewise"),
    pytest.param(windows(9, Fraction(1, 2), 200), 2, id="piecewise-wide"),
]


@pytest.mark.parametrize(("mechanism", "width"), SMALL)
def test_every_answer_comes_exactly_as_often_as_its_weight_says(mechanism, width):
    times = 256**width // mechanism.total
    assert replay(mechanism, width) == [
        [times * mechanism.weight(step, cell) for cell in range(mechanism.cells)]
        for step in range(mechanism.steps + 1)
    ]


@pytest.mark.parametrize("epsilon", [Fraction(1, 3), Fraction(1), Fraction(2)])
@pytest.mark.parametrize("k", [2, 3, 5])
def test_no_answer_tells_two_values_apart_beyond_epsilon(k, epsilon):
    counts = replay(response(k, epsilon, 1000), 2)
    assert 1 < worst_ratio(counts) <= below_exp(epsilon)


def modulo_without_rejection(limit, size, source):
    width = ((limit - 1).bit_length() + 7) // 8
    words = np.frombuffer(source(width * size), dtype=np.uint8).reshape(-1, width)
    return words.astype(np.int64) @ 256 ** np.arange(width) % limit


def test_the_replay_sees_the_bias_of_a_remainder(monkeypatch):
    mechanism = response(3, Fraction(1), 16)
    monkeypatch.setattr(_windows, "uniform_below", modulo_without_rejection)
    counts = []
    for step in range(3):
        cells = draw_cells(np.full(256, step), mechanism, Tape(1))
        counts.append(np.bincount(cells, minlength=3).tolist())
    assert worst_ratio(counts) > below_exp(Fraction(1))


def test_the_replay_sees_a_weight_rounded_up():
    too_much = _windows.Windows(2, 1, 44, 16)  # 16 * e is 43.49
    assert worst_ratio(replay(too_much, 1)) > below_exp(Fraction(1))


@pytest.mark.parametrize("numerator", [0, 1, other_bit(Fraction(1)), WORD - 1])
def test_a_chance_is_decided_by_the_first_byte_and_exactly_by_the_rest(numerator):
    top, rest = divmod(numerator, 2**24)
    firsts = bytes(byte for byte in range(256) if byte != top)
    assert chance(numerator, 255, lambda _size: firsts).sum() == top
    tape = Tape(3)
    asked = []

    def source(size):
        asked.append(size)
        return bytes([top]) * size if len(asked) == 1 else tape(size)

    assert chance(numerator, 2**24, source).sum() == rest
    assert len(asked) == (2 if rest else 1)


def test_a_bit_of_a_report_depends_on_its_own_bytes_alone():
    codes = np.zeros(1, dtype=np.int64)

    def report(*firsts):
        parts = [bytes(firsts), b"\x01"]
        return unary(codes, 3, Fraction(1), lambda size: parts.pop(0))[0].tolist()

    low, high = 0, 255
    assert report(low, low, low) == [False, True, True]  # the true bit comes from the byte 1
    assert report(high, low, high) == [False, True, False]
    assert report(low, high, low) == [False, False, True]


def test_the_true_bit_is_set_by_half_of_all_words():
    assert uniform_below(2, 256, Tape(1)).sum() == 128
