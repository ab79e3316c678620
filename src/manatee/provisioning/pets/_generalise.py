"""Coarser values: groups of numbers, months and years of dates, listed categories.

A group is told by one value inside it, so that the column keeps its type and the twin keeps the
contract's schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manatee.contracts import Column, Floats, from_line, to_line
from manatee.errors import ProvisioningError, SchemaMismatchError
from manatee.provisioning.pets._interface import Context, TreatmentRecord

_WHOLE = frozenset({"integer", "date", "timestamp"})


@dataclass(frozen=True)
class Generalise:
    """Coarser values.

    Attributes:
        width: Numbers fall into groups of this width, from the contract's minimum on.
        cuts: Numbers fall into groups that begin at these values instead.
        to: Dates fall into months or years.
        bottom: Everything below is told as this value.
        top: Everything above is told as this value.
        groups: A listed category and the categories it then stands for.
    """

    width: float | None = None
    cuts: tuple[float, ...] = ()
    to: Literal["month", "year"] | None = None
    bottom: float | None = None
    top: float | None = None
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    name = "generalise"

    def check(self, column: Column) -> None:
        """Refuse groups that do not fit the column."""
        ways = [self.width is not None, bool(self.cuts), self.to is not None, bool(self.groups)]
        coded = self.bottom is not None or self.top is not None
        if sum(ways) > 1 or (not any(ways) and not coded) or (self.groups and coded):
            raise ProvisioningError(
                "generalise needs one of width, cuts, to and groups; or bottom and top."
            )
        if self.groups:
            self._check_groups(column)
        elif not column.numeric:
            raise ProvisioningError(
                f"generalise with numbers does not fit {column.type}.",
                hint="Categories need groups; text and identifiers cannot be generalised.",
            )
        elif self.to is not None and column.type not in {"date", "timestamp"}:
            raise ProvisioningError("months and years are for dates and time stamps.")
        else:
            self._check_numbers(column)

    def _check_groups(self, column: Column) -> None:
        listed = [member for group in self.groups.values() for member in group]
        if column.type != "category":
            raise ProvisioningError(f"groups are for categories, not {column.type}.")
        if sorted(listed) != sorted(column.categories):
            raise ProvisioningError("the groups must hold every listed category exactly once.")
        if not set(self.groups) <= set(column.categories) or any(
            name not in group for name, group in self.groups.items()
        ):
            raise ProvisioningError("a group must be named after one of its own categories.")
        if len(self.groups) >= len(column.categories):
            raise ProvisioningError("the groups leave every category as it is.")

    def _check_numbers(self, column: Column) -> None:
        low, high = column.minimum or 0.0, column.maximum or 0.0
        unit = 1.0 if column.type in _WHOLE else 10.0**-column.decimals
        if self.width is not None and not unit < self.width <= high - low:
            raise ProvisioningError("width must be above the column's unit and within its range.")
        if self.width is not None and column.type in _WHOLE and self.width % 1:
            raise ProvisioningError("the width of a whole-number column must be whole.")
        inner = [*self.cuts, *(x for x in (self.bottom, self.top) if x is not None)]
        if any(not low <= cut <= high for cut in inner):
            raise ProvisioningError("cuts, bottom and top must lie in the column's range.")
        if column.type in _WHOLE and any(cut % 1 for cut in inner):
            raise ProvisioningError("cuts, bottom and top of whole numbers must be whole.")
        steps = [b - a for a, b in zip(self.cuts, self.cuts[1:], strict=False)]
        if any(step < unit for step in steps):
            raise ProvisioningError("cuts must rise, by the column's unit at least.")
        if self.bottom is not None and self.top is not None and self.bottom >= self.top:
            raise ProvisioningError("bottom must lie below top.")

    def begin(self, column: Column, context: Context) -> _GeneraliseRun:
        """Start on a column."""
        return _GeneraliseRun(column, self)


class _GeneraliseRun:
    def __init__(self, column: Column, how: Generalise) -> None:
        self._column, self._how = column, how

    def apply(self, values: pa.Array) -> pa.Array:
        if self._how.groups:
            return self._grouped(values)
        numbers = to_line(values, self._column)
        missing = np.isnan(numbers)
        line = np.where(missing, self._column.minimum or 0.0, numbers)
        line = np.clip(line, self._how.bottom, self._how.top) if self._coded() else line
        told = from_line(self._middle(line), self._column)
        return pc.if_else(pa.array(~missing), told, pa.scalar(None, told.type))

    def _coded(self) -> bool:
        return self._how.bottom is not None or self._how.top is not None

    def _grouped(self, values: pa.Array) -> pa.Array:
        old, new = [], []
        for name, group in self._how.groups.items():
            old += list(group)
            new += [name] * len(group)
        places = pc.index_in(values, value_set=pa.array(old, pa.string()))
        if places.null_count != values.null_count:
            raise SchemaMismatchError(f"column {self._column.name!r} has a value not listed.")
        return pa.array(new, pa.string()).take(places)

    def _middle(self, line: Floats) -> Floats:
        low, high = self._column.minimum or 0.0, self._column.maximum or 0.0
        if self._how.to is not None:
            return self._calendar(line)
        if self._how.width is not None:
            start = low + np.floor((line - low) / self._how.width) * self._how.width
            end = np.minimum(start + self._how.width, high)
        elif self._how.cuts:
            limits = np.array([low, *self._how.cuts, high])
            group = np.searchsorted(self._how.cuts, line, side="right")
            start, end = limits[group], limits[group + 1]
        else:
            return line
        return np.asarray((start + end) / 2)

    def _calendar(self, line: Floats) -> Floats:
        seconds = self._column.type == "timestamp"
        unit = "s" if seconds else "D"
        exact = np.floor(line).astype(np.int64).astype(f"datetime64[{unit}]")
        days = 14 if self._how.to == "month" else 181
        start = exact.astype("datetime64[M]" if self._how.to == "month" else "datetime64[Y]")
        middle = start.astype("datetime64[D]") + np.timedelta64(days, "D")
        return np.asarray(middle.astype(f"datetime64[{unit}]").astype(np.int64).astype(np.float64))

    def record(self) -> TreatmentRecord:
        return TreatmentRecord(
            self._column.name,
            "generalise",
            "no formal guarantee; values are told by group only",
            None,
            (
                "the group of every person",
                "who is recognised by groups of several columns together",
                "a person alone in a group",
            ),
        )
