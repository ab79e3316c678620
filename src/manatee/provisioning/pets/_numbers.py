"""Local differential privacy for numbers: discrete Laplace, and a piecewise mechanism.

Privacy unit: one value; neighbours: any two values of the contract's range. Values are put on a
public grid of whole steps first (those out of range at its ends), so nothing is computed in
floating point between the grid and the noise.

- Laplace: OpenDP's discrete Laplace; sensitivity is the whole range, `steps`. The column holds
  values held to the range (post-processing); the released mean is that of the unheld ones.
- Piecewise (Wang, Xiao, Yang et al. 2019, "Collecting and Analyzing Multidimensional Data with
  Local Differential Privacy", algorithm 2), made discrete. Of `steps + window` cells, the `window`
  cells that start at the value's step have weight `inside`, all others weight `outside`, with
  inside / outside <= e**epsilon: that ratio is the guarantee, and no rounding enters it. The mean
  of the cell is linear in the step, so it can be undone without bias. The column holds cells
  spread over the contract's range: `debias_mean` undoes this for any set of rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any, Literal

import numpy as np
import opendp.prelude as dp
import pyarrow as pa

from manatee.contracts import Column, from_line, to_line
from manatee.errors import ProvisioningError, SchemaMismatchError
from manatee.provisioning.pets._categories import NEARLY_USELESS
from manatee.provisioning.pets._exact import Draw, Whole, below_exp, check_epsilon, uniform_below
from manatee.provisioning.pets._interface import Context, TreatmentRecord

MAX_STEPS = 1 << 16
"""Steps of the grid at most: rounding a value moves it by 1/131072 of its range or less."""

OUTSIDE = 1 << 20


def steps_of(column: Column) -> int:
    """Return the steps of a column's public grid: its own units, as far as they are few."""
    width = (column.maximum or 0) - (column.minimum or 0)
    if column.type == "integer" or column.type == "date":
        return int(min(max(width, 1), MAX_STEPS))
    return MAX_STEPS


@dataclass(frozen=True)
class Windows:
    """The piecewise mechanism's whole numbers; see the module."""

    steps: int
    window: int
    inside: int
    outside: int = OUTSIDE

    @property
    def cells(self) -> int:
        """Cells of the answer."""
        return self.steps + 1 + self.window - 1

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
def windows(steps: int, epsilon: float) -> Windows:
    """Return the mechanism for a grid: the window of the paper, the largest private weight."""
    half = float(below_exp(Fraction(epsilon) / 2))
    inside = math.floor(below_exp(Fraction(epsilon)) * OUTSIDE)
    return Windows(steps, max(1, round(steps / half)), inside)


def draw_cells(found: Whole, mechanism: Windows, draw: Draw = uniform_below) -> Whole:
    """Draw the answer for each step, exactly."""
    drawn = draw(mechanism.total, len(found))
    core = mechanism.inside * mechanism.window
    near = found + drawn // mechanism.inside
    far = (drawn - core) // mechanism.outside
    return np.where(drawn < core, near, np.where(far < found, far, far + mechanism.window))


@cache
def laplace(steps: int, epsilon: float) -> tuple[Any, float]:
    """Return OpenDP's discrete Laplace for values that differ by `steps`, and its scale."""
    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l1_distance(T="i64")
    scale = steps / epsilon
    for _ in range(200):
        measurement = dp.m.make_laplace(*space, scale=scale)
        if measurement.map(steps) <= epsilon:
            return measurement, scale
        scale *= 1 + 1e-13
    raise ProvisioningError("no noise scale fits the epsilon.")


@dataclass(frozen=True)
class RandomiseNumber:
    """epsilon-LDP for a number, date or time stamp."""

    epsilon: float
    name: Literal["laplace", "piecewise"]

    def check(self, column: Column) -> None:
        """Refuse other types, and columns with missing values."""
        check_epsilon(self.epsilon)
        if column.type == "identifier":
            raise ProvisioningError("local randomisation of an identifier protects nobody.")
        if not column.numeric:
            raise ProvisioningError(
                f"{self.name} is for numbers and dates, not {column.type}.",
                hint="For categories use randomise.",
            )
        if column.nullable:
            raise ProvisioningError(
                f"{self.name} would show which values are missing.",
                hint="Use synthesis, or a category with the treatment randomise.",
            )
        if (column.maximum or 0) <= (column.minimum or 0):
            raise ProvisioningError(f"{self.name} needs a range of more than one value.")

    def begin(self, column: Column, context: Context) -> _NumberRun:
        """Start on a column."""
        return _NumberRun(column, self)


class _NumberRun:
    def __init__(self, column: Column, treatment: RandomiseNumber) -> None:
        self._column, self._treatment = column, treatment
        self._steps = steps_of(column)
        self._low = column.minimum or 0.0
        self._width = (column.maximum or 0.0) - self._low
        self._sum = self._n = 0

    def apply(self, values: pa.Array) -> pa.Array:
        numbers = to_line(values, self._column)
        if np.isnan(numbers).any():
            raise SchemaMismatchError(f"column {self._column.name!r} has a missing value.")
        place = np.clip((numbers - self._low) / self._width, 0.0, 1.0) * self._steps
        found = np.rint(place).astype(np.int64)
        self._n += len(found)
        if self._treatment.name == "laplace":
            noisy = laplace(self._steps, self._treatment.epsilon)[0](found.tolist())
            told = np.array(noisy, dtype=np.float64)
            top = self._steps
        else:
            mechanism = windows(self._steps, self._treatment.epsilon)
            told = draw_cells(found, mechanism).astype(np.float64)
            top = mechanism.cells - 1
        self._sum += int(told.sum())
        line = self._low + np.clip(told, 0, top) * (self._width / top)
        whole = self._column.type not in {"float", "decimal"}
        return from_line(np.floor(line + 0.5) if whole else line, self._column)

    def record(self) -> TreatmentRecord:
        mean = self._sum / max(self._n, 1)
        epsilon, name = self._treatment.epsilon, self._treatment.name
        parameters: dict[str, float | int | str] = {
            "epsilon": epsilon,
            "minimum": self._low,
            "maximum": self._low + self._width,
            "steps": self._steps,
        }
        if name == "laplace":
            parameters["scale_in_steps"] = laplace(self._steps, epsilon)[1]
            limit = "values at the range's ends stand for all noise beyond them"
        else:
            mechanism = windows(self._steps, epsilon)
            parameters |= {
                "window": mechanism.window,
                "inside": mechanism.inside,
                "outside": mechanism.outside,
            }
            mean = mechanism.undo(mean)
            limit = "values are drawn together towards the middle; debias every mean"
        return TreatmentRecord(
            self._column.name,
            name,
            f"{epsilon:g}-local differential privacy of each value ({name}, discrete)",
            epsilon,
            (
                NEARLY_USELESS.replace("frequencies", "mean"),
                limit,
                "that a person has a row at all",
                "links to the row's other columns",
            ),
            parameters,
            {"mean": self._low + mean * self._width / self._steps} if self._n else {},
        )
