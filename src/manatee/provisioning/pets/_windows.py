"""Answers from a public row of cells, some likelier than others, drawn exactly.

Of `steps + window` cells, the `window` cells that start at the value's step have weight `inside`,
all others weight `outside`, with inside / outside <= e**epsilon: that ratio is the guarantee, and
no rounding enters it. With a window of one cell this is k-ary randomised response (Kairouz, Oh,
Viswanath 2014, "Extremal Mechanisms for Local Differential Privacy"); with wider ones, and a
number's steps, the piecewise mechanism of `_numbers`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np

from manatee.provisioning.pets._exact import (
    ByteSource,
    Whole,
    below_exp,
    from_system,
    uniform_below,
)

OUTSIDE = 1 << 20
"""Weight of an unlikely cell: what is lost of e**epsilon by rounding is below 1 part in 2**20."""


@dataclass(frozen=True)
class Windows:
    """The mechanism's whole numbers; see the module."""

    steps: int
    window: int
    inside: int
    outside: int = OUTSIDE

    @property
    def cells(self) -> int:
        """Cells of the answer."""
        return self.steps + self.window

    @property
    def total(self) -> int:
        """Weight of all cells together."""
        return self.inside * self.window + self.outside * (self.cells - self.window)

    def weight(self, step: int, cell: int) -> int:
        """Return the weight of a cell, of `total`, for a value at a step."""
        return self.inside if step <= cell < step + self.window else self.outside

    def undo(self, mean_cell: float) -> float:
        """Return the mean step of values whose answers have that mean cell; unbiased."""
        lift = self.inside - self.outside
        flat = self.outside * self.cells * (self.cells - 1) / 2
        corner = lift * self.window * (self.window - 1) / 2
        return (self.total * mean_cell - flat - corner) / (lift * self.window)


@cache
def response(k: int, epsilon: Fraction, outside: int = OUTSIDE) -> Windows:
    """Return randomised response among k cells: the largest private weight of the truth."""
    return Windows(k - 1, 1, math.floor(below_exp(epsilon) * outside), outside)


def draw_cells(found: Whole, mechanism: Windows, source: ByteSource = from_system) -> Whole:
    """Draw the answer for each step, exactly.

    Args:
        found: Steps, shape (n_values,).
        mechanism: Its weights.
        source: Of uniform bytes.

    Returns:
        Cells, shape (n_values,).
    """
    drawn = uniform_below(mechanism.total, len(found), source)
    core = mechanism.inside * mechanism.window
    near = found + drawn // mechanism.inside
    far = (drawn - core) // mechanism.outside
    return np.where(drawn < core, near, np.where(far < found, far, far + mechanism.window))
