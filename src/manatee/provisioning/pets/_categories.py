"""Local differential privacy for categories: k-ary randomised response, or unary encoding.

Rule (Wang, Blocki, Li, Jha 2017, "Locally Differentially Private Protocols for Frequency
Estimation", section 5): with k categories, randomised response has the smaller variance where
k < 3 e**epsilon + 2, optimised unary encoding (OUE) elsewhere. Missing is a category like others.

Privacy unit: one value; neighbours: any two values. OpenDP has randomised response for one value at
a time, and no OUE: both are drawn here, in blocks, from whole numbers of the operating system, with
probabilities that are fractions. OUE's report is a set of categories; the column gets one of them,
and the counts over all reports are released: both are post-processing of the report.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from manatee.contracts import Column
from manatee.errors import ProvisioningError, SchemaMismatchError
from manatee.provisioning.pets._exact import (
    WORD,
    ByteSource,
    Whole,
    below_exp,
    chance,
    from_system,
    uniform_below,
    value_epsilon,
)
from manatee.provisioning.pets._interface import Context, TreatmentRecord, local_words
from manatee.provisioning.pets._windows import draw_cells, response

_CELLS_AT_ONCE = 1 << 21
NEARLY_USELESS = (
    "row by row the values are nearly useless at honest budgets; use the estimated frequencies"
)


def better_by_rule(k: int, epsilon: float) -> str:
    """Return `randomised-response` or `unary-encoding` for k categories: see the module."""
    return "randomised-response" if k < 3 * math.exp(epsilon) + 2 else "unary-encoding"


def other_bit(epsilon: Fraction) -> int:
    """Return OUE's chance, of `WORD`, that a bit of another category is set: the least private.

    A true bit is set with chance 1/2; two values differ in two bits, so the odds are (1 - q) / q,
    which is at most e**epsilon for q = 1 / (e**epsilon + 1), rounded up.
    """
    return math.ceil(WORD / (below_exp(epsilon) + 1))


def unary(
    codes: Whole, k: int, epsilon: Fraction, source: ByteSource = from_system
) -> npt.NDArray[np.bool_]:
    """Return OUE reports, shape (n_values, k)."""
    bits = chance(other_bit(epsilon), len(codes) * k, source).reshape(len(codes), k)
    bits[np.arange(len(codes)), codes] = uniform_below(2, len(codes), source) == 0
    return bits


@dataclass(frozen=True)
class Randomise:
    """Local differential privacy for a category or boolean.

    Attributes:
        epsilon: Of this column's values in all rows of one privacy unit.
        rows: Rows a unit has at most; each value gets `epsilon / rows`.
    """

    epsilon: float
    rows: int = 1
    name = "randomise"

    def check(self, column: Column) -> None:
        """Refuse other types and fewer than two categories."""
        value_epsilon(self.epsilon, self.rows)
        if column.type == "identifier":
            raise ProvisioningError("local randomisation of an identifier protects nobody.")
        if column.type not in {"category", "boolean"}:
            raise ProvisioningError(
                f"randomise is for categories and booleans, not {column.type}.",
                hint="For numbers use laplace or piecewise.",
            )
        if column.type == "category" and len(column.categories) + column.nullable < 2:
            raise ProvisioningError("randomise needs at least two categories.")

    def begin(self, column: Column, context: Context) -> _RandomiseRun:
        """Start on a column."""
        return _RandomiseRun(column, self, context.source)


class _RandomiseRun:
    def __init__(self, column: Column, treatment: Randomise, source: ByteSource) -> None:
        self._column, self._treatment, self._source = column, treatment, source
        self._epsilon = value_epsilon(treatment.epsilon, treatment.rows)
        labels: list[str | bool] = (
            [False, True] if column.type == "boolean" else list(column.categories)
        )
        kind = pa.bool_() if column.type == "boolean" else pa.string()
        self._labels = pa.array([*labels, None] if column.nullable else labels, kind)
        self._names = [
            str(label).lower() if label in (False, True) else str(label) for label in labels
        ] + (["(missing)"] if column.nullable else [])
        self._k = len(self._labels)
        self.method = better_by_rule(self._k, float(self._epsilon))
        self._counts = np.zeros(self._k, dtype=np.int64)
        self._n = 0

    def apply(self, values: pa.Array) -> pa.Array:
        codes = pc.index_in(values, value_set=self._labels)
        if codes.null_count:
            raise SchemaMismatchError(f"column {self._column.name!r} has a value not listed.")
        found = codes.to_numpy(zero_copy_only=False).astype(np.int64)
        self._n += len(found)
        if self.method == "randomised-response":
            told = draw_cells(found, response(self._k, self._epsilon), self._source)
            self._counts += np.bincount(told, minlength=self._k)
        else:
            step = max(1, _CELLS_AT_ONCE // self._k)
            parts = [
                self._one_of(
                    unary(found[start : start + step], self._k, self._epsilon, self._source)
                )
                for start in range(0, len(found), step)
            ]
            told = np.concatenate(parts) if parts else found
        return self._labels.take(pa.array(told))

    def _one_of(self, bits: npt.NDArray[np.bool_]) -> Whole:
        """Pick one set category of each report, or any if none is set; post-processing."""
        self._counts += bits.sum(axis=0)
        pool = bits | ~bits.any(axis=1, keepdims=True)
        sizes = pool.sum(axis=1)
        place = (uniform_below(WORD, len(bits), self._source) * sizes) >> 32
        members: Whole = np.flatnonzero(pool) % self._k
        chosen: Whole = members[np.cumsum(sizes) - sizes + place]
        return chosen

    def record(self) -> TreatmentRecord:
        parameters: dict[str, float | int | str] = {"method": self.method, "k": self._k}
        if self.method == "randomised-response":
            mechanism = response(self._k, self._epsilon)
            truth = mechanism.inside / mechanism.total
            other = mechanism.outside / mechanism.total
            parameters |= {"inside": mechanism.inside, "outside": mechanism.outside}
        else:
            truth, other = 0.5, other_bit(self._epsilon) / WORD
            parameters |= {"other_bit_of_2_to_32": other_bit(self._epsilon)}
        shares = (self._counts / max(self._n, 1) - other) / (truth - other)
        return TreatmentRecord(
            self._column.name,
            "randomise",
            local_words(self._treatment.epsilon, self._treatment.rows, self.method),
            self._treatment.epsilon,
            (NEARLY_USELESS, "that a person has a row at all", "links to the row's other columns"),
            parameters | {"chance_of_truth": truth, "chance_other": other},
            {f"share of {name}": float(s) for name, s in zip(self._names, shares, strict=True)},
        )
