"""How many values and rows of a twin occur verbatim in the real table, against chance.

Some do by chance: a whole number of years always, a charge with five decimals almost never. A
twin that knows the real table only through noise draws evenly within cells that the contract
fixes. So the chance that a drawn value is one of the real table's is, in its cell, the share of
allowed values that the real table has. The chance differs from row to row; by Hoeffding (1956) the
number of hits is, in its upper tail, at most as spread as a binomial with the mean chance.

This is a check for copies, not a measure of privacy: a twin without copies may leak all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import stats

from manatee.contracts import Column
from manatee.provisioning.attacks._coding import (
    Codes,
    Floats,
    cells_of,
    grid_size,
    grid_step,
    n_value_cells,
    on_line,
)

FALSE_ALARM = 1e-6
"""Chance that a twin without any copy is flagged, over all of its columns and rows together."""

MOST_EXPECTED = 0.5
"""A column whose values are expected by chance more often than this tells nothing."""

MEASURED_CELLS = 1000
"""Cells are the contract's own bins, not the wider ones of the report's pictures."""


_ON_GRID = 1e-3
"""Part of a step that rounding may move a value from the contract's grid."""


@dataclass(frozen=True)
class VerbatimShare:
    """What was found for one column, or for whole rows.

    Attributes:
        what: The column's name, or `rows`.
        share: Part of the twin's values (rows) that occur verbatim in the real table.
        expected: Part that chance gives.
        p_value: Chance of so many or more without copying; 1 where nothing was tested.
        verdict: `passed`, `failed`, or `not tested` where chance explains any number.
    """

    what: str
    share: float
    expected: float
    p_value: float
    verdict: str


@dataclass(frozen=True)
class VerbatimCheck:
    """All columns and the rows of one table."""

    findings: tuple[VerbatimShare, ...]
    false_alarm: float

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return all(finding.verdict != "failed" for finding in self.findings)


def check_verbatim(
    real: Callable[[str], pa.ChunkedArray],
    twin: pa.Table,
    columns: Sequence[Column],
    *,
    false_alarm: float = FALSE_ALARM,
) -> VerbatimCheck:
    """Look for values and rows of the real table in the twin.

    Args:
        real: Gives a column of the real table, all of its rows, so that only one is in memory.
        twin: The twin or a sample of its rows.
        columns: The contract's columns.
        false_alarm: Chance that a twin without copies fails.
    """
    error = false_alarm / (len(columns) + 1)
    findings: list[VerbatimShare] = []
    for column in columns:
        if column.numeric:
            findings.append(_numbers(real(column.name), twin[column.name], column, error))
        elif column.type == "text" or (column.type == "identifier" and column.holds == "text"):
            findings.append(_texts(real(column.name), twin[column.name], column))
    findings.append(_rows(real, twin, columns, error))
    return VerbatimCheck(tuple(findings), false_alarm)


def _numbers(
    real: pa.ChunkedArray, twin: pa.ChunkedArray, column: Column, error: float
) -> VerbatimShare:
    theirs = np.unique(_known(_snapped(on_line(real, column), column)))
    ours = _known(_snapped(on_line(twin, column), column))
    chance = _chance_per_cell(theirs, column)[cells_of(ours, column, MEASURED_CELLS)]
    return _judge(column.name, np.isin(ours, theirs), chance, error)


def _known(line: Floats) -> Floats:
    return line[~np.isnan(line)]


def _snapped(line: Floats, column: Column) -> Floats:
    """Return the places with those on the contract's grid freed of rounding errors."""
    if not column.numeric:
        return line
    step = grid_step(column)
    steps = line / step
    whole = np.rint(steps)
    found: Floats = np.where(np.abs(steps - whole) < _ON_GRID, whole * step, line)
    return found


def _chance_per_cell(distinct: Floats, column: Column) -> Floats:
    """Return, per cell, the share of allowed values that occur in the real table."""
    steps = distinct / grid_step(column)
    allowed = distinct[np.abs(steps - np.rint(steps)) < _ON_GRID]  # others cannot be drawn
    size = n_value_cells(column, MEASURED_CELLS)
    hit = np.bincount(cells_of(allowed, column, MEASURED_CELLS), minlength=size)[:size]
    found: Floats = np.minimum(hit / _grid_per_cell(column), 1.0)
    return found


def _grid_per_cell(column: Column) -> float:
    return max(1.0, grid_size(column) / n_value_cells(column, MEASURED_CELLS))


def _judge(what: str, hits: npt.NDArray[np.bool_], chance: Floats, error: float) -> VerbatimShare:
    if not len(hits):
        return VerbatimShare(what, 0.0, 0.0, 1.0, "not tested")
    share, expected = float(hits.mean()), float(chance.mean())
    if expected > MOST_EXPECTED:
        return VerbatimShare(what, share, expected, 1.0, "not tested")
    n_hits = int(hits.sum())
    beyond = n_hits >= len(hits) * expected + 1
    p_value = float(stats.binom.sf(n_hits - 1, len(hits), expected)) if beyond else 1.0
    return VerbatimShare(what, share, expected, p_value, "failed" if p_value < error else "passed")


def _texts(real: pa.ChunkedArray, twin: pa.ChunkedArray, column: Column) -> VerbatimShare:
    """Free text and names have no chance of being made twice: one that is shared is a copy."""
    ours = twin.drop_null()
    if not len(ours):
        return VerbatimShare(column.name, 0.0, 0.0, 1.0, "not tested")
    shared = pa.compute.is_in(ours, value_set=real.drop_null().unique())
    share = float(np.mean(shared.to_numpy()))
    return VerbatimShare(column.name, share, 0.0, 1.0, "failed" if share else "passed")


def _rows(
    real: Callable[[str], pa.ChunkedArray],
    twin: pa.Table,
    columns: Sequence[Column],
    error: float,
) -> VerbatimShare:
    """Compare whole rows (of columns with cells) by 64-bit fingerprints, one column at a time."""
    used = [column for column in columns if column.cellular]
    if not used or not twin.num_rows:
        return VerbatimShare("rows", 0.0, 0.0, 1.0, "not tested")
    theirs = their_cells = np.zeros(len(real(used[0].name)), dtype=np.uint64)
    ours = our_cells = np.zeros(twin.num_rows, dtype=np.uint64)
    room = np.ones(twin.num_rows)
    for column in used:
        their_line = _snapped(on_line(real(column.name), column), column)
        our_line = _snapped(on_line(twin[column.name], column), column)
        their_codes = cells_of(their_line, column, MEASURED_CELLS)
        our_codes = cells_of(our_line, column, MEASURED_CELLS)
        theirs, ours = _mix(theirs, their_line), _mix(ours, our_line)
        their_cells, our_cells = _mix(their_cells, their_codes), _mix(our_cells, our_codes)
        if column.numeric:
            room *= np.where(np.isnan(our_line), 1.0, _grid_per_cell(column))
    first = np.unique(theirs, return_index=True)[1]
    places, counts = np.unique(their_cells[first], return_counts=True)
    index = np.searchsorted(places, our_cells).clip(max=len(places) - 1)
    rows_there = np.where(places[index] == our_cells, counts[index], 0)
    return _judge("rows", np.isin(ours, theirs), np.minimum(rows_there / room, 1.0), error)


def _mix(state: npt.NDArray[np.uint64], values: Floats | Codes) -> npt.NDArray[np.uint64]:
    """Return fingerprints with one more value in (the finaliser of SplitMix64)."""
    bits = np.ascontiguousarray(values.astype(np.float64) + 0.0).view(np.uint64)
    mixed = state * np.uint64(0x9E3779B97F4A7C15) + bits + np.uint64(0x632BE59BD9B4E019)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    found: npt.NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(31))
    return found
