"""The two ends: a column as it is, and a column with nothing in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from manatee.contracts import Column, arrow_type, from_line
from manatee.errors import ProvisioningError
from manatee.provisioning.pets._interface import Context, TreatmentRecord


@dataclass(frozen=True)
class Keep:
    """Real values, unchanged."""

    name = "keep"

    def check(self, column: Column) -> None:
        """Refuse whatever names people, and free text."""
        if column.type == "identifier":
            raise ProvisioningError(
                "a raw identifier may not be kept.", hint="Use pseudonym, or suppress."
            )
        if column.type == "text":
            raise ProvisioningError(
                "free text may not be kept: nobody knows what stands in it.", hint="Use suppress."
            )
        if column.sensitivity == "identifying":
            raise ProvisioningError(
                "an identifying column may not be kept.", hint="Use pseudonym, or suppress."
            )

    def begin(self, column: Column, context: Context) -> _KeepRun:
        """Start on a column."""
        return _KeepRun(column)


class _KeepRun:
    def __init__(self, column: Column) -> None:
        self._column = column

    def apply(self, values: pa.Array) -> pa.Array:
        return values

    def record(self) -> TreatmentRecord:
        return TreatmentRecord(
            self._column.name,
            "keep",
            "no formal guarantee: these are real values",
            None,
            ("every value", "who is recognised by a rare value"),
        )


@dataclass(frozen=True)
class Suppress:
    """Nothing of the column: missing values, or one value from the specification."""

    stand_in: str | float | None = None
    name = "suppress"

    def check(self, column: Column) -> None:
        """Refuse a column that can be neither missing nor told by the stand-in."""
        if self.stand_in is None:
            if not column.nullable:
                raise ProvisioningError(
                    "a column that is never missing cannot be suppressed to missing values.",
                    hint="Name a value that stands in for all: suppress: {with: VALUE}.",
                )
            return
        low, high = column.minimum or 0.0, column.maximum or 0.0
        fits = {
            "category": self.stand_in in column.categories,
            "text": isinstance(self.stand_in, str) and len(self.stand_in) <= column.max_length,
            "identifier": False,
            "boolean": False,
        }.get(column.type, isinstance(self.stand_in, float) and low <= self.stand_in <= high)
        if not fits:
            raise ProvisioningError(
                "the stand-in must be a listed category, short text or a number in range."
            )

    def begin(self, column: Column, context: Context) -> _SuppressRun:
        """Start on a column."""
        return _SuppressRun(column, self.stand_in)


class _SuppressRun:
    def __init__(self, column: Column, stand_in: str | float | None) -> None:
        self._column, self._stand_in = column, stand_in

    def apply(self, values: pa.Array) -> pa.Array:
        if isinstance(self._stand_in, float):
            return from_line(np.full(len(values), self._stand_in), self._column)
        if self._stand_in is None:
            return pa.nulls(len(values), arrow_type(self._column))
        return pa.array([self._stand_in] * len(values), pa.string())

    def record(self) -> TreatmentRecord:
        return TreatmentRecord(
            self._column.name,
            "suppress",
            "nothing of this column is in the twin, not even which values are missing",
            0.0,
            ("what other columns tell about this one",),
        )
