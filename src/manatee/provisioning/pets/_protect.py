"""k-anonymity and l-diversity of the released groups, kept by leaving rows out.

A group: the rows that share the released values of all quasi-identifying columns that are kept or
generalised. Memory grows with the number of groups, not of rows.

Honest limits: k-anonymity hides nothing about sensitive values that a group shares; l-diversity
nothing about how likely each is; neither composes with another release of the same people, and
which rows are left out depends on the other rows. They are no differential privacy.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from manatee.errors import ProvisioningError


@dataclass(frozen=True)
class Diversity:
    """At least `l` values of a sensitive column in a group: distinct ones, or by entropy."""

    column: str
    l: float  # noqa: E741 - its name in the literature
    kind: Literal["distinct", "entropy"] = "distinct"


@dataclass(frozen=True)
class Protect:
    """What every group must keep, and the greatest share of rows that may be left out for it."""

    k: int
    max_suppressed: float
    diversity: Diversity | None = None


def effective(counts: Iterable[int], kind: Literal["distinct", "entropy"]) -> float:
    """Return how many values a group has: distinct ones, or e to their entropy."""
    found = [count for count in counts if count]
    if kind == "distinct":
        return float(len(found))
    total = sum(found)
    return math.exp(-sum(count / total * math.log(count / total) for count in found))


class Groups:
    """Groups seen in a first pass, then the rows to keep in a second."""

    def __init__(self, protect: Protect, columns: tuple[str, ...]) -> None:
        self._protect, self._columns = protect, columns
        self._sizes: Counter[tuple[object, ...]] = Counter()
        self._values: dict[tuple[object, ...], Counter[object]] = defaultdict(Counter)

    def _keys(self, rows: pa.RecordBatch) -> list[tuple[object, ...]]:
        columns = [rows.column(name).to_pylist() for name in self._columns]
        return list(zip(*columns, strict=True)) if columns else [()] * rows.num_rows

    def add(self, rows: pa.RecordBatch) -> None:
        """Take a batch of treated rows."""
        keys = self._keys(rows)
        self._sizes.update(keys)
        if self._protect.diversity is not None:
            told = rows.column(self._protect.diversity.column).to_pylist()
            for key, value in zip(keys, told, strict=True):
                if value is not None:
                    self._values[key][value] += 1

    def finish(self) -> None:
        """Decide the groups. Raises ProvisioningError if too many rows would be left out."""
        total = sum(self._sizes.values())
        lost = sum(size for key, size in self._sizes.items() if not self._holds(key))
        if lost > self._protect.max_suppressed * total:
            raise ProvisioningError(
                "more rows than max_suppressed allows are in groups that are too small or too "
                "alike.",
                hint="Generalise the quasi-identifying columns further.",
            )

    def _holds(self, key: tuple[object, ...]) -> bool:
        if self._sizes[key] < self._protect.k:
            return False
        diversity = self._protect.diversity
        if diversity is None:
            return True
        values = self._values.get(key, Counter())
        return effective(values.values(), diversity.kind) >= diversity.l * (1 - 1e-12)

    def keeps(self, rows: pa.RecordBatch) -> npt.NDArray[np.bool_]:
        """Return which treated rows stay."""
        return np.array([self._holds(key) for key in self._keys(rows)], dtype=np.bool_)
