"""Local differential privacy for numbers: discrete Laplace, and a piecewise mechanism.

Privacy unit: one value; neighbours: any two values of the contract's range. Values are put on a
public grid of whole steps first (those out of range at its ends), so nothing is computed in
floating point between the grid and the noise.

- Laplace: OpenDP's discrete Laplace; sensitivity is the whole range, `steps`. The column holds
  values held to the range (post-processing); the released mean is that of the unheld ones.
- Piecewise (Wang, Xiao, Yang et al. 2019, "Collecting and Analyzing Multidimensional Data with
  Local Differential Privacy", algorithm 2), made discrete (`_windows`). The mean of the cell is
  linear in the step, so it can be undone without bias. The column holds cells spread over the
  contract's range: `debias_mean` undoes this for any set of rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from manatee.budgets import opendp
from manatee.contracts import Column, from_line, to_line
from manatee.errors import ProvisioningError, SchemaMismatchError
from manatee.provisioning.pets._categories import NEARLY_USELESS
from manatee.provisioning.pets._exact import ByteSource, below_exp, value_epsilon
from manatee.provisioning.pets._interface import Context, TreatmentRecord, local_words
from manatee.provisioning.pets._windows import OUTSIDE, Windows, draw_cells

MAX_STEPS = 1 << 16
"""Steps of the grid at most: rounding a value moves it by 1/131072 of its range or less."""


def steps_of(column: Column) -> int:
    """Return the steps of a column's public grid: its own units, as far as they are few."""
    width = (column.maximum or 0) - (column.minimum or 0)
    if column.type == "integer" or column.type == "date":
        return int(min(max(width, 1), MAX_STEPS))
    return MAX_STEPS


@cache
def windows(steps: int, epsilon: Fraction, outside: int = OUTSIDE) -> Windows:
    """Return the mechanism for a grid: the window of the paper, the largest private weight."""
    half = float(below_exp(epsilon / 2))
    inside = math.floor(below_exp(epsilon) * outside)
    return Windows(steps, max(1, round(steps / half)), inside, outside)


@cache
def laplace(steps: int, epsilon: Fraction) -> tuple[Any, float]:
    """Return OpenDP's discrete Laplace for values that differ by `steps`, and its scale."""
    dp = opendp()
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l1_distance(T="i64")
    scale = steps / float(epsilon)
    for _ in range(200):
        measurement = dp.m.make_laplace(*space, scale=scale)
        if Fraction(measurement.map(steps)) <= epsilon:
            return measurement, scale
        scale *= 1 + 1e-13
    raise ProvisioningError("no noise scale fits the epsilon.")


@dataclass(frozen=True)
class RandomiseNumber:
    """Local differential privacy for a number, date or time stamp.

    Attributes:
        epsilon: Of this column's values in all rows of one privacy unit.
        rows: Rows a unit has at most; each value gets `epsilon / rows`.
    """

    epsilon: float
    name: Literal["laplace", "piecewise"]
    rows: int = 1

    def check(self, column: Column) -> None:
        """Refuse other types, and columns with missing values."""
        value_epsilon(self.epsilon, self.rows)
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
        return _NumberRun(column, self, context.source)


class _NumberRun:
    def __init__(self, column: Column, treatment: RandomiseNumber, source: ByteSource) -> None:
        self._column, self._treatment, self._source = column, treatment, source
        self._epsilon = value_epsilon(treatment.epsilon, treatment.rows)
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
            noisy = laplace(self._steps, self._epsilon)[0](found.tolist())
            told = np.array(noisy, dtype=np.float64)
            top = self._steps
        else:
            mechanism = windows(self._steps, self._epsilon)
            told = draw_cells(found, mechanism, self._source).astype(np.float64)
            top = mechanism.cells - 1
        self._sum += int(told.sum())
        line = self._low + np.clip(told, 0, top) * (self._width / top)
        whole = self._column.type not in {"float", "decimal"}
        return from_line(np.floor(line + 0.5) if whole else line, self._column)

    def record(self) -> TreatmentRecord:
        mean = self._sum / max(self._n, 1)
        name = self._treatment.name
        parameters: dict[str, float | int | str] = {
            "minimum": self._low,
            "maximum": self._low + self._width,
            "steps": self._steps,
        }
        if name == "laplace":
            parameters["scale_in_steps"] = laplace(self._steps, self._epsilon)[1]
            limit = "values at the range's ends stand for all noise beyond them"
        else:
            mechanism = windows(self._steps, self._epsilon)
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
            local_words(self._treatment.epsilon, self._treatment.rows, f"{name}, discrete"),
            self._treatment.epsilon,
            (
                NEARLY_USELESS.replace("frequencies", "mean"),
                limit,
                "that a person has a row at all",
                "links to the row's other columns",
            ),
            parameters,
            {"mean": self._low + mean * self._width / self._steps} if self._n else {},
        )
