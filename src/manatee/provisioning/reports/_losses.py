"""What a twin loses at the rims: rare categories and extreme values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from manatee.contracts import Column
from manatee.provisioning.attacks import on_line
from manatee.provisioning.reports._types import Codes

RARE_SHARE = 0.01
"""A category of fewer rows than this part is rare."""

TAIL_SHARE = 0.01


@dataclass(frozen=True)
class RareCategories:
    """Rare categories of a column: how many there are, and how many the twin has none of."""

    column: str
    rare: int
    lost: int


@dataclass(frozen=True)
class Tails:
    """Part of the rows beyond the real table's 1st and 99th percentile, in both tables."""

    column: str
    real: float
    twin: float


def rare_categories(
    real: pa.Table, twin: pa.Table, columns: Sequence[Column]
) -> tuple[RareCategories, ...]:
    """Count rare categories of the real table and those that the twin lost."""
    found = []
    for column in columns:
        if column.type != "category":
            continue
        theirs, ours = (_counts(table, column) for table in (real, twin))
        rare = (theirs > 0) & (theirs < RARE_SHARE * max(1, theirs.sum()))
        found.append(RareCategories(column.name, int(rare.sum()), int((rare & (ours == 0)).sum())))
    return tuple(found)


def _counts(table: pa.Table, column: Column) -> Codes:
    line = on_line(table[column.name], column)
    return np.bincount(line[~np.isnan(line)].astype(np.int64), minlength=len(column.categories))


def tails(real: pa.Table, twin: pa.Table, columns: Sequence[Column]) -> tuple[Tails, ...]:
    """Compare how many values lie far out, by the real table's own percentiles."""
    found = []
    for column in columns:
        if not column.numeric:
            continue
        lines = [on_line(table[column.name], column) for table in (real, twin)]
        theirs, ours = (line[~np.isnan(line)] for line in lines)
        if not len(theirs) or not len(ours):
            continue
        low, high = np.quantile(theirs, [TAIL_SHARE, 1 - TAIL_SHARE])
        shares = [float(((line < low) | (line > high)).mean()) for line in (theirs, ours)]
        found.append(Tails(column.name, *shares))
    return tuple(found)
