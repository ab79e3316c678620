"""From noisy counts to the one model that fits them best.

The distribution of greatest entropy among those with least squared error, weighted by the noise,
is sought by entropic mirror descent on the marginal polytope (McKenna, Sheldon, Miklau 2019,
"Graphical-model based estimation and inference for differential privacy", algorithm 1).
Post-processing only: it sees released numbers, and costs no budget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from manatee.errors import ProvisioningError
from manatee.provisioning.estimation._calibrate import (
    Floats,
    Marginals,
    calibrate,
    narrow,
    shape_of,
    widen,
)
from manatee.provisioning.estimation._tree import Clique, JunctionTree, junction_tree, n_cells

ITERATIONS = 250
"""Steps of mirror descent; the utility of a twin did not change between 250 and 1,000."""

MAX_CLIQUE_CELLS = 1 << 22
"""Most cells of one clique: 32 MiB a copy."""

_ENOUGH = 1e-7
"""Relative progress in 20 steps below which the descent ends."""


@dataclass(frozen=True)
class Measurement:
    """Noisy counts of a marginal.

    Attributes:
        columns: The columns, in the order of the axes.
        counts: As released.
        sigma: Standard deviation of the noise of one measured cell.
        merged: How many measured cells each count sums up, same shape; None for one each.
    """

    columns: Clique
    counts: Floats
    sigma: float
    merged: Floats | None = None

    @property
    def precision(self) -> Floats:
        """One over the variance of each count; zero where nothing was measured."""
        if self.merged is None:
            return np.full(self.counts.shape, 1.0 / self.sigma**2)
        found: Floats = 1.0 / (self.sigma**2 * np.maximum(self.merged, 1.0))
        return found


@dataclass
class Fit:
    """A model and the potentials that make it, one per measured set of columns.

    Attributes:
        loss: Half the squared error in units of the noise's variance.
    """

    marginals: Marginals
    potentials: dict[Clique, Floats]
    loss: float


def tree_cells(sizes: Mapping[str, int], measured: Sequence[Clique]) -> int:
    """Return the cells of the junction tree that measuring these sets of columns would need."""
    tree = junction_tree(sizes, measured)
    return sum(n_cells(clique, sizes) for clique in tree.cliques)


def estimate(
    sizes: Mapping[str, int],
    measurements: Sequence[Measurement],
    total: float,
    *,
    iterations: int = ITERATIONS,
    start: Mapping[Clique, Floats] | None = None,
) -> Fit:
    """Fit a model.

    Args:
        sizes: Cells of every column; a column that nobody measured comes out uniform.
        measurements: Any sets of columns, any number of times.
        total: The (noisy) record count that every marginal sums to, above 0.
        iterations: Most steps.
        start: Potentials of an earlier fit to go on from.

    Raises:
        ProvisioningError: The junction tree has a clique beyond `MAX_CLIQUE_CELLS`.
    """
    columns = [(name,) for name in sizes]
    tree = junction_tree(sizes, [*columns, *(item.columns for item in measurements)])
    if any(n_cells(clique, sizes) > MAX_CLIQUE_CELLS for clique in tree.cliques):
        raise ProvisioningError(
            "the chosen marginals tie too many columns together to be estimated.",
            hint="Give the columns fewer bins, or choose the mechanism `mst`.",
        )
    problem = _Problem(tree, sizes, _combined(measurements), total)
    return problem.descend(dict(start or {}), iterations)


def _combined(measurements: Sequence[Measurement]) -> dict[Clique, tuple[Floats, Floats]]:
    """Merge measurements of the same columns: precision-weighted mean and summed precision."""
    found: dict[Clique, tuple[Floats, Floats]] = {}
    for item in measurements:
        precision = item.precision
        counts, known = found.get(item.columns, (np.zeros_like(precision), precision * 0))
        both = known + precision
        found[item.columns] = (counts * known + item.counts * precision) / both, both
    return found


Arrays = dict[Clique, Floats]


class _Problem:
    def __init__(
        self,
        tree: JunctionTree,
        sizes: Mapping[str, int],
        measured: dict[Clique, tuple[Floats, Floats]],
        total: float,
    ) -> None:
        self._tree = tree
        self._sizes = sizes
        self._measured = measured
        self._total = total
        self._homes = {columns: tree.home(columns) or 0 for columns in measured}

    def _marginals(self, potentials: Mapping[Clique, Floats]) -> Marginals:
        summed = [np.zeros(shape_of(clique, self._sizes)) for clique in self._tree.cliques]
        for columns, values in potentials.items():
            home = self._homes.get(columns)
            if home is not None:
                summed[home] += widen(values, columns, self._tree.cliques[home])
        return calibrate(self._tree, self._sizes, summed, self._total)

    def _loss(self, marginals: Marginals) -> tuple[float, Arrays, Arrays]:
        """Return the loss, its gradient, and what the model says of each measured marginal."""
        loss, gradient, said = 0.0, {}, {}
        for columns, (counts, precision) in self._measured.items():
            home = self._homes[columns]
            found = narrow(marginals.values[home], self._tree.cliques[home], columns)
            off = found - counts
            gradient[columns] = off * precision
            said[columns] = found
            loss += float((off * gradient[columns]).sum()) / 2
        return loss, gradient, said

    def descend(self, start: dict[Clique, Floats], iterations: int) -> Fit:
        potentials = {
            columns: start.get(columns, np.zeros(counts.shape))
            for columns, (counts, _) in self._measured.items()
        }
        marginals = self._marginals(potentials)
        loss, gradient, said = self._loss(marginals)
        largest = max((float(item[1].max()) for item in self._measured.values()), default=1.0)
        step = 1.0 / (self._total * largest)
        earlier = loss
        for iteration in range(1, iterations + 1):
            for _ in range(30):
                trial = {name: potentials[name] - step * gradient[name] for name in potentials}
                found = self._marginals(trial)
                lower, slope, says = self._loss(found)
                if lower <= loss - 0.5 * _gain(gradient, said, says):
                    break
                step /= 2
            else:
                break  # no step goes down: as low as floats tell
            potentials, marginals, loss, gradient, said = trial, found, lower, slope, says
            step *= 1.5
            if iteration % 20 == 0:
                if earlier - loss <= _ENOUGH * max(earlier, 1e-12):
                    break
                earlier = loss
        return Fit(marginals, potentials, loss)


def _gain(gradient: Arrays, before: Arrays, after: Arrays) -> float:
    """Return the decrease that the gradient promises for this step."""
    return sum(
        float((values * (before[columns] - after[columns])).sum())
        for columns, values in gradient.items()
    )
