"""Scores that are higher for people who are in the table a twin was made of.

Every score compares how likely a person's row is under the twin with how likely it is in the
population (the idea of DOMIAS: van Breugel et al. 2023), so that ordinary people do not look like
members merely for being ordinary. The attacker knows everybody who might be in the table, and
not who is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from manatee.contracts import Column
from manatee.provisioning.attacks._coding import Codes, Floats, cells_of, n_value_cells, on_line

_BLOCK = 256
_UNEQUAL = 0.1
"""Weight of a row of another category beside one of the same, in a kernel density."""


@dataclass(frozen=True)
class Points:
    """Rows as attacks see them.

    Attributes:
        line: Places on the columns' lines, NaN where missing, shape (n_records, n_columns).
        cells: The same as cells.
        columns: The contract's columns with cells.
    """

    line: Floats
    cells: Codes
    columns: tuple[Column, ...]

    def take(self, rows: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Points:
        """Return some of the rows."""
        return Points(self.line[rows], self.cells[rows], self.columns)


def points_of(table: pa.Table, columns: Sequence[Column]) -> Points:
    """Return a table's rows as points; columns without cells are left out."""
    used = tuple(column for column in columns if column.cellular)
    lines = [on_line(table[column.name], column) for column in used]
    cells = [cells_of(line, column) for line, column in zip(lines, used, strict=True)]
    return Points(np.column_stack(lines), np.column_stack(cells), used)


Score = Callable[[Points, Points], Floats]
"""From the twin and everybody who might be a member to one score per such person."""


def kernel_score(twin: Points, persons: Points) -> Floats:
    """Return log densities of a product kernel: under the twin less under the population.

    Numbers: Gaussian kernels by Scott's rule on the population. Categories and missing values:
    equal or not.
    """
    widths = _widths(persons)
    return _kernel(persons, twin, widths) - _kernel(persons, persons, widths)


def _widths(persons: Points) -> Floats:
    n_records, n_columns = persons.line.shape
    with np.errstate(invalid="ignore"):
        known = np.where(np.isnan(persons.line), 0.0, persons.line)
    spread = np.maximum(known.std(axis=0), 1e-9)
    found: Floats = spread * n_records ** (-1 / (n_columns + 4))
    return found


def _kernel(at: Points, rows: Points, widths: Floats) -> Floats:
    found = np.empty(len(at.line))
    for start in range(0, len(at.line), _BLOCK):
        stop = start + _BLOCK
        exponent = np.zeros((len(at.line[start:stop]), len(rows.line)))
        for place, column in enumerate(at.columns):
            here, there = at.line[start:stop, place, None], rows.line[None, :, place]
            if column.numeric:
                distance = -0.5 * ((here - there) / widths[place]) ** 2
                unequal = np.where(np.isnan(here) & np.isnan(there), 0.0, np.log(_UNEQUAL))
                exponent += np.where(np.isnan(distance), unequal, distance)
            else:
                equal = (here == there) | (np.isnan(here) & np.isnan(there))
                exponent += np.where(equal, 0.0, np.log(_UNEQUAL))
        found[start:stop] = np.logaddexp.reduce(exponent, axis=1) - np.log(len(rows.line))
    return found


def histogram_score(twin: Points, persons: Points) -> Floats:
    """Return the mean over all pairs of columns of log cell shares: twin less population."""
    n_columns = len(twin.columns)
    pairs = list(combinations(range(n_columns), 2)) or [(0, 0)]
    found = np.zeros(len(persons.line))
    for first, second in pairs:
        width = n_value_cells(twin.columns[second]) + 1
        size = (n_value_cells(twin.columns[first]) + 1) * width
        mine = persons.cells[:, first] * width + persons.cells[:, second]
        theirs = twin.cells[:, first] * width + twin.cells[:, second]
        found += _log_shares(theirs, size)[mine] - _log_shares(mine, size)[mine]
    return found / len(pairs)


def _log_shares(codes: Codes, size: int) -> Floats:
    counts = np.bincount(codes, minlength=size) + 0.5
    found: Floats = np.log(counts / counts.sum())
    return found


def copy_score(twin: Points, persons: Points) -> Floats:
    """Return the most bits that a person's row shares with one row of the twin.

    An equal value counts -log2 of its share in the population: equal sexes say little, equal
    charges to the cent say much. An attack, never a measure: a twin that shares nothing with
    anybody may leak all the same.
    """
    bits = np.column_stack([_bits(persons.line[:, place]) for place in range(len(twin.columns))])
    found = np.empty(len(persons.line))
    for start in range(0, len(found), _BLOCK):
        stop = start + _BLOCK
        shared = np.zeros((len(found[start:stop]), len(twin.line)))
        for place in range(len(twin.columns)):
            equal = persons.line[start:stop, place, None] == twin.line[None, :, place]
            shared += equal * bits[start:stop, place, None]
        found[start:stop] = shared.max(axis=1, initial=0.0)
    return found


def _bits(line: Floats) -> Floats:
    _, index, counts = np.unique(line, return_inverse=True, return_counts=True)
    found: Floats = -np.log2(counts / len(line))[index]
    return found


def unusual(persons: Points, share: float) -> npt.NDArray[np.int64]:
    """Return the persons whom the fewest others resemble, the least density first."""
    density = _kernel(persons, persons, _widths(persons))
    return np.argsort(density, kind="stable")[: max(1, round(len(density) * share))]


SCORES: dict[str, Score] = {
    "density by kernels": kernel_score,
    "density by histograms": histogram_score,
    "shared values": copy_score,
}
"""Attacks on one twin; each takes no other twin's help."""
