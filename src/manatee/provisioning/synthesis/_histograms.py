"""Every column's histogram, released once, and the merged cells that follow from it.

Pairs and larger marginals are counted on *merged cells*: few enough for their counts to stand out
of the noise. How many is a rule of the noisy record count and the noise to come (`n_merged`), and
which cells join is read off the released histogram: post-processing, free of budget. Within a
merged cell the histogram says where values lie.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from manatee.provisioning.counting import Attribute, Counter
from manatee.provisioning.estimation import Measurement
from manatee.provisioning.noise import Budget

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

COUNT_TO_NOISE = 1.5
"""Least mean count of a cell of a pair, in standard deviations of its noise."""

FEWEST, MOST = 3, 24
"""Bounds of the number of merged cells of a column."""


@dataclass(frozen=True)
class Histogram:
    """A column's released histogram.

    Attributes:
        noisy: Counts as released, shape (n_cells,).
        fine: The nearest non-negative counts that sum to the (noisy) record count.
        sigma: Standard deviation of the noise of a cell.
        groups: Merged cell of each cell.
    """

    attribute: Attribute
    noisy: Floats
    fine: Floats
    sigma: float
    groups: Codes

    @property
    def size(self) -> int:
        """Number of merged cells."""
        return int(self.groups.max()) + 1

    def merge(self, counts: Floats) -> Floats:
        """Return sums of `counts` per merged cell."""
        found = np.bincount(self.groups, weights=counts, minlength=self.size)
        return found.astype(np.float64)

    def measurement(self) -> Measurement:
        """Return the histogram as a measurement on merged cells."""
        merged = self.merge(np.ones(len(self.noisy)))
        return Measurement((self.attribute.name,), self.merge(self.noisy), self.sigma, merged)


@dataclass(frozen=True)
class Released:
    """All histograms and the record count that follows from them."""

    noisy: dict[str, Floats]
    sigmas: dict[str, float]
    total: float


def release(
    counter: Counter, budget: Budget, shares: dict[str, Fraction], *, contribution: int
) -> Released:
    """Release every column's histogram.

    Guarantee: the sum of `shares` in zCDP. One privacy unit has at most `contribution` rows, all
    of which may fall into one cell: L2 sensitivity `contribution`.
    """
    attributes = counter.attributes
    counted = counter.count([(item.name,) for item in attributes])
    noisy, sigmas = {}, {}
    for item, counts in zip(attributes, counted, strict=True):
        noisy[item.name], sigmas[item.name] = budget.measure(
            counts, shares[item.name], what=f"column {item.name}", sensitivity=contribution
        )
    weights = np.array([1 / (len(noisy[name]) * sigmas[name] ** 2) for name in noisy])
    sums = np.array([values.sum() for values in noisy.values()])
    total = max(1.0, float(weights @ sums / weights.sum())) if len(sums) else 1.0
    return Released(noisy, sigmas, total)


def n_merged(total: float, sigma: float) -> int:
    """Return how many merged cells a column gets in pairs that are measured with `sigma`.

    A pair of columns has the square of it; its mean count is then `COUNT_TO_NOISE` sigmas.
    """
    found = math.floor(math.sqrt(max(0.0, total / (COUNT_TO_NOISE * sigma))))
    return min(max(found, FEWEST), MOST)


def on_simplex(counts: Floats, total: float) -> Floats:
    """Return the nearest (L2) non-negative counts with the sum `total` (Duchi et al. 2008)."""
    descending = np.sort(counts)[::-1]
    shifts = (np.cumsum(descending) - total) / np.arange(1, len(counts) + 1)
    last = np.nonzero(descending > shifts)[0][-1]
    found: Floats = np.maximum(counts - shifts[last], 0.0)
    return found


def histogram(attribute: Attribute, released: Released, cells: int) -> Histogram:
    """Return a column's histogram with at most `cells` merged cells (and one for missing)."""
    noisy = released.noisy[attribute.name]
    fine = on_simplex(noisy, released.total)
    groups = np.arange(attribute.n_cells)
    if attribute.n_values > cells:
        mass = fine[: attribute.n_values]
        joined = _neighbours(mass, cells) if attribute.ordered else _rarest(mass, cells)
        groups[: attribute.n_values] = joined
        groups[attribute.n_values :] = joined.max() + 1
    return Histogram(attribute, noisy, fine, released.sigmas[attribute.name], groups)


def _neighbours(mass: Floats, cells: int) -> Codes:
    """Join neighbouring cells so that each merged cell holds about the same mass."""
    middle = (np.cumsum(mass) - mass / 2) / max(float(mass.sum()), 1e-9)
    wanted = np.minimum((middle * cells).astype(np.int64), cells - 1)
    return np.unique(wanted, return_inverse=True)[1].astype(np.int64)


def _rarest(mass: Floats, cells: int) -> Codes:
    """Keep the `cells - 1` most frequent categories and join all others."""
    groups = np.full(len(mass), cells - 1, dtype=np.int64)
    groups[np.argsort(-mass, kind="stable")[: cells - 1]] = np.arange(cells - 1)
    return groups
