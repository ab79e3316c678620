"""Local differential privacy for categories: k-ary randomised response, or unary encoding.

Rule (Wang, Blocki, Li, Jha 2017, "Locally Differentially Private Protocols for Frequency
Estimation", section 5): with k categories, randomised response has the smaller variance where
k < 3 e**epsilon + 2, optimised unary encoding (OUE) elsewhere. Missing is a category like others.

Privacy unit: one value; neighbours: any two values. Randomised response is OpenDP's, whose own
privacy map must answer at most epsilon. OpenDP has no OUE: it is drawn exactly here. OUE's report
is a set of categories; the column gets one of them, and the counts over all reports are released:
both are post-processing of the report.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import opendp.prelude as dp
import pyarrow as pa
import pyarrow.compute as pc

from manatee.contracts import Column
from manatee.errors import ProvisioningError, SchemaMismatchError
from manatee.provisioning.pets._exact import Draw, below_exp, check_epsilon, uniform_below
from manatee.provisioning.pets._interface import Context, TreatmentRecord

dp.enable_features("contrib")

WORD = 2**32
"""Denominator of the probability of OUE's other bits."""

_CELLS_AT_ONCE = 1 << 21
NEARLY_USELESS = (
    "row by row the values are nearly useless at honest budgets; use the estimated frequencies"
)


def better_by_rule(k: int, epsilon: float) -> str:
    """Return `randomised-response` or `unary-encoding` for k categories: see the module."""
    return "randomised-response" if k < 3 * math.exp(epsilon) + 2 else "unary-encoding"


@cache
def response(k: int, epsilon: float) -> tuple[Any, float]:
    """Return OpenDP's k-ary randomised response within epsilon, and its chance of the truth."""
    truth = math.exp(epsilon) / (math.exp(epsilon) + k - 1)
    for _ in range(200):
        measurement = dp.m.make_randomized_response(list(range(k)), prob=truth, T="i32")
        if measurement.map(1) <= epsilon:
            return measurement, truth
        truth -= (1 - truth) * 1e-12
    raise ProvisioningError("no randomised response fits the epsilon.")


def other_bit(epsilon: float) -> Fraction:
    """Return OUE's chance that a bit of another category is set: the least that is private.

    A true bit is set with chance 1/2; two values differ in two bits, so the odds are (1 - q) / q,
    which is at most e**epsilon for q = 1 / (e**epsilon + 1), rounded up.
    """
    return Fraction(math.ceil(WORD / (below_exp(Fraction(epsilon)) + 1)), WORD)


def unary(
    codes: npt.NDArray[np.int64], k: int, epsilon: float, draw: Draw = uniform_below
) -> npt.NDArray[np.bool_]:
    """Return OUE reports, shape (n_values, k)."""
    threshold = int(other_bit(epsilon) * WORD)
    bits = draw(WORD, len(codes) * k).reshape(len(codes), k) < threshold
    bits[np.arange(len(codes)), codes] = draw(2, len(codes)) == 0
    return bits


@dataclass(frozen=True)
class Randomise:
    """epsilon-LDP for a category or boolean."""

    epsilon: float
    name = "randomise"

    def check(self, column: Column) -> None:
        """Refuse other types and fewer than two categories."""
        check_epsilon(self.epsilon)
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
        return _RandomiseRun(column, self.epsilon)


class _RandomiseRun:
    def __init__(self, column: Column, epsilon: float) -> None:
        self._column, self._epsilon = column, epsilon
        labels: list[str | bool] = (
            [False, True] if column.type == "boolean" else list(column.categories)
        )
        kind = pa.bool_() if column.type == "boolean" else pa.string()
        self._labels = pa.array([*labels, None] if column.nullable else labels, kind)
        self._names = [
            str(label).lower() if label in (False, True) else str(label) for label in labels
        ] + (["(missing)"] if column.nullable else [])
        self._k = len(self._labels)
        self.method = better_by_rule(self._k, epsilon)
        self._counts = np.zeros(self._k, dtype=np.int64)
        self._n = 0

    def apply(self, values: pa.Array) -> pa.Array:
        codes = pc.index_in(values, value_set=self._labels)
        if codes.null_count:
            raise SchemaMismatchError(f"column {self._column.name!r} has a value not listed.")
        found = codes.to_numpy(zero_copy_only=False).astype(np.int64)
        self._n += len(found)
        if self.method == "randomised-response":
            measure = response(self._k, self._epsilon)[0]
            told = np.array([measure(int(code)) for code in found], dtype=np.int64)
            self._counts += np.bincount(told, minlength=self._k)
        else:
            step = max(1, _CELLS_AT_ONCE // self._k)
            parts = [
                self._one_of(unary(found[start : start + step], self._k, self._epsilon))
                for start in range(0, len(found), step)
            ]
            told = np.concatenate(parts) if parts else found
        return self._labels.take(pa.array(told))

    def _one_of(self, bits: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        self._counts += bits.sum(axis=0)
        pool = np.where(bits.any(axis=1, keepdims=True), bits, True)
        rank = uniform_below(2**62, bits.size).reshape(bits.shape)
        chosen: npt.NDArray[np.int64] = np.argmax(np.where(pool, rank, -1), axis=1).astype(np.int64)
        return chosen

    def record(self) -> TreatmentRecord:
        if self.method == "randomised-response":
            truth = response(self._k, self._epsilon)[1]
            other = (1 - truth) / (self._k - 1)
        else:
            truth, other = 0.5, float(other_bit(self._epsilon))
        shares = (self._counts / max(self._n, 1) - other) / (truth - other)
        return TreatmentRecord(
            self._column.name,
            "randomise",
            f"{self._epsilon:g}-local differential privacy of each value ({self.method})",
            self._epsilon,
            (NEARLY_USELESS, "that a person has a row at all", "links to the row's other columns"),
            {"method": self.method, "k": self._k, "chance_of_truth": truth, "chance_other": other},
            {f"share of {name}": float(s) for name, s in zip(self._names, shares, strict=True)},
        )
