"""A fitted synthesis: released numbers only, from which any number of rows can be drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from manatee.provisioning.estimation import Marginals, draw, draw_counts, draw_given
from manatee.provisioning.synthesis._histograms import Codes, Floats, Histogram


@dataclass(frozen=True)
class Synthesiser:
    """What was learned about one table under the budget; drawing from it costs nothing.

    Attributes:
        total: The noisy record count.
        measured: Sets of columns that were measured beside the single ones.
    """

    histograms: dict[str, Histogram]
    marginals: Marginals
    total: float
    measured: tuple[tuple[str, ...], ...]

    def draw(self, n_records: int, sampler: np.random.Generator) -> dict[str, Codes]:
        """Draw rows: cells per column, shape (n_records,)."""
        return self._refine(draw(self.marginals, n_records, sampler), sampler)

    def draw_given(
        self, given: Mapping[str, npt.NDArray[np.integer]], sampler: np.random.Generator
    ) -> dict[str, Codes]:
        """Draw rows of which some columns' cells are given; returns all other columns."""
        merged = {name: self.histograms[name].groups[codes] for name, codes in given.items()}
        found = draw_given(self.marginals, merged, sampler)
        return self._refine(
            {name: codes for name, codes in found.items() if name not in given}, sampler
        )

    def marginal(self, columns: tuple[str, ...]) -> Floats:
        """Return the model's counts of any columns, on merged cells."""
        return self.marginals.project(columns)

    def _refine(
        self, merged: Mapping[str, Codes], sampler: np.random.Generator
    ) -> dict[str, Codes]:
        return {
            name: refine(codes, self.histograms[name], sampler) for name, codes in merged.items()
        }


def refine(merged: Codes, histogram: Histogram, sampler: np.random.Generator) -> Codes:
    """Draw a cell within each merged cell by the released histogram."""
    found = np.empty(len(merged), dtype=np.int64)
    for group in range(histogram.size):
        rows = np.flatnonzero(merged == group)
        cells = np.flatnonzero(histogram.groups == group)
        found[rows] = cells[draw_counts(histogram.fine[cells], len(rows), sampler)]
    return found
