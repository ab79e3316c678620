"""What anybody does who has the twin: hold its shares to those measured of the real table.

A share is a part of all rows. Of the real table's an interval is known; all intervals of a report
hold together with `CONFIDENCE`. They are compared as bands, because that is what a notebook trips
over: none, a few, many. Post-processing of what is public.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

from manatee.comparison._count import ExactCounts
from manatee.errors import MalformedError
from manatee.records import ArrowColumn, NoisyCounts, TwinComparison, TwinReport

CONFIDENCE = 0.95
"""Chance that every interval of one report holds what it should."""

BANDS = (0.0, 0.01, 0.05, 0.2, 0.5, 1.0)
"""Upper ends of the bands of a share; the first holds nothing but 0."""

WIDE = 2
"""An interval that touches more bands than this tells nothing."""

Verdict = Literal["misled", "agrees", "cannot tell"]


@dataclass(frozen=True)
class Finding:
    """One thing that was compared.

    Attributes:
        what: `type`, `missing` or `stratum`.
        where: Column, or `column = value`, joined by `and`.
        twin: As the twin has it, in words.
        real: As the real table was measured, in words.
        low: Lower end of the real share; NaN for a type.
        high: Upper end of it.
    """

    what: Literal["type", "missing", "stratum"]
    where: str
    twin: str
    real: str
    verdict: Verdict
    low: float = math.nan
    high: float = math.nan


def compare(
    report: TwinReport,
    order: TwinComparison,
    twin_columns: Sequence[ArrowColumn],
    twin_counts: Sequence[ExactCounts],
) -> tuple[Finding, ...]:
    """Return what was compared, types first.

    Args:
        report: What a run measured.
        order: The data set's, by which it was measured and the twin was counted.
        twin_columns: The twin's columns.
        twin_counts: `count_exactly` over the twin.

    Raises:
        MalformedError: The report is not one of this order.
    """
    if [_shape(item) for item in report.measured] != [_shape(item) for item in twin_counts]:
        raise MalformedError("the report measures something else than the data set's manifest.")
    if report.rho != order.rho or any(not item.scale > 0 for item in report.measured):
        raise MalformedError("the report was measured at another price than the manifest's.")
    shares = sum(len(item.counts) for item in report.measured[1:])
    deviations = NormalDist().inv_cdf(1 - (1 - CONFIDENCE) / 2 / (1 + shares))
    records, all_rows = report.measured[0], max(twin_counts[0].counts[0], 1)
    found = list(_types(report.columns, twin_columns))
    for real, twin in zip(report.measured[1:], twin_counts[1:], strict=True):
        for where, noisy, exact in zip(_names(real, order), real.counts, twin.counts, strict=True):
            low, high = _interval(noisy, real.scale, records, deviations)
            share = exact / all_rows
            found.append(
                Finding(
                    what="missing" if real.what == "missing" else "stratum",
                    where=where,
                    twin=_percent(share),
                    real=f"{_percent(low)} to {_percent(high)}",
                    verdict=_verdict(share, low, high),
                    low=low,
                    high=high,
                )
            )
    return tuple(found)


def _shape(item: NoisyCounts | ExactCounts) -> tuple[str, tuple[str, ...], int]:
    return item.what, item.columns, len(item.counts)


def _types(real: Sequence[ArrowColumn], twin: Sequence[ArrowColumn]) -> Iterator[Finding]:
    ours = {item.name: _said(item) for item in twin}
    theirs = {item.name: _said(item) for item in real}
    for name in dict.fromkeys((*theirs, *ours)):
        have, had = theirs.get(name, "no such column"), ours.get(name, "no such column")
        yield Finding("type", name, had, have, "agrees" if have == had else "misled")


def _said(column: ArrowColumn) -> str:
    return column.type + (", may be missing" if column.nullable else "")


def _names(item: NoisyCounts, order: TwinComparison) -> Iterator[str]:
    if item.what == "missing":
        yield item.columns[0]
        return
    stratum = next(found for found in order.strata if found.columns == item.columns)
    for values in itertools.product(*stratum.values):
        pairs = zip(stratum.columns, values, strict=True)
        yield " and ".join(f"{column} = {value}" for column, value in pairs)


def _interval(
    count: int, scale: float, records: NoisyCounts, deviations: float
) -> tuple[float, float]:
    """Return ends of a share from its noisy count and the noisy number of rows."""
    fewest = max(records.counts[0] - deviations * records.scale, 1.0)
    most = max(records.counts[0] + deviations * records.scale, 1.0)
    low, high = count - deviations * scale, count + deviations * scale
    return min(max(low, 0.0) / most, 1.0), min(max(high, 0.0) / fewest, 1.0)


def _band(share: float) -> int:
    return next(place for place, end in enumerate(BANDS) if share <= end)


def _verdict(twin: float, low: float, high: float) -> Verdict:
    first, last = _band(low), _band(high)
    if not first <= _band(twin) <= last:
        return "misled"
    return "agrees" if last - first < WIDE else "cannot tell"


def _percent(share: float) -> str:
    return "0%" if share == 0 else f"{share:.2%}" if share < 0.1 else f"{share:.0%}"
