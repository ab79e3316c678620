"""Belief propagation: from potentials to marginals that agree with one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from manatee.provisioning.estimation._tree import Clique, JunctionTree

Floats = npt.NDArray[np.float64]


def shape_of(clique: Clique, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """Return the shape of an array over a clique."""
    return tuple(sizes[name] for name in clique)


def widen(values: Floats, columns: Clique, clique: Clique) -> Floats:
    """Return an array over `columns`, all in `clique`, ready to broadcast against the clique's.

    `columns` may stand in any order.
    """
    places = [columns.index(name) for name in clique if name in columns]
    moved = values.transpose(places)
    return moved[tuple(slice(None) if name in columns else None for name in clique)]


def narrow(values: Floats, clique: Clique, columns: Clique) -> Floats:
    """Return the sum of an array over a clique onto `columns`, in the order they are named."""
    away = tuple(place for place, name in enumerate(clique) if name not in columns)
    summed = values.sum(axis=away) if away else values
    kept = [name for name in clique if name in columns]
    return summed.transpose([kept.index(name) for name in columns])


def _log_narrow(values: Floats, clique: Clique, columns: Clique) -> Floats:
    """Return the log of the sum of exponentials, onto `columns` in the clique's order."""
    away = tuple(place for place, name in enumerate(clique) if name not in columns)
    if not away:
        return values
    top = values.max(axis=away, keepdims=True)
    found: Floats = np.log(np.exp(values - top).sum(axis=away)) + top.squeeze(axis=away)
    return found


@dataclass(frozen=True)
class Marginals:
    """Marginals of every clique of a junction tree, consistent with one another.

    Attributes:
        values: One array per clique; each sums to `total`.
    """

    tree: JunctionTree
    sizes: Mapping[str, int]
    values: tuple[Floats, ...]
    total: float

    def project(self, columns: Clique) -> Floats:
        """Return the model's marginal of any columns, in the order they are named."""
        home = self.tree.home(columns)
        if home is not None:
            return narrow(self.values[home], self.tree.cliques[home], columns)
        return self._eliminate(columns)

    def _eliminate(self, columns: Clique) -> Floats:
        """Sum out everything else, from the leaves to the first clique."""
        tree = self.tree
        wanted = set(columns)
        pieces: list[tuple[Clique, Floats] | None] = [None] * len(tree.cliques)
        for index in reversed(range(len(tree.cliques))):
            clique, separator = tree.cliques[index], tree.separators[index]
            names, values = clique, self.values[index] / self.total
            if index:
                below = narrow(values, clique, separator)
                safe = np.where(below > 0, below, 1.0)
                values = values / widen(safe, separator, clique)
            for child in range(index + 1, len(tree.cliques)):
                if tree.parents[child] == index:
                    piece = pieces[child]
                    if piece is not None:
                        names, values = _product(names, values, *piece)
            kept = tuple(name for name in names if name in wanted or name in separator)
            if index and not wanted & (set(kept) - set(separator)):
                continue  # nothing wanted below: given the separator it sums to one
            pieces[index] = kept, narrow(values, names, kept)
        names, values = pieces[0] or ((), np.array(1.0))
        return narrow(values, names, columns) * self.total


def _product(names: Clique, values: Floats, more: Clique, factor: Floats) -> tuple[Clique, Floats]:
    every = names + tuple(name for name in more if name not in names)
    return every, widen(values, names, every) * widen(factor, more, every)


def calibrate(
    tree: JunctionTree, sizes: Mapping[str, int], potentials: Sequence[Floats], total: float
) -> Marginals:
    """Return the marginals of the distribution whose log is the sum of the potentials.

    Args:
        tree: Parents before children.
        sizes: Cells of each column.
        potentials: One array of logarithms per clique.
        total: What the marginals sum to.
    """
    beliefs = [np.array(item) for item in potentials]
    upward: list[Floats] = [np.zeros(())] * len(beliefs)
    for index in reversed(range(1, len(beliefs))):
        clique, separator = tree.cliques[index], tree.separators[index]
        message = _log_narrow(beliefs[index], clique, separator)
        upward[index] = message
        parent = tree.parents[index]
        beliefs[parent] = beliefs[parent] + widen(message, separator, tree.cliques[parent])
    for index in range(1, len(beliefs)):
        clique, separator = tree.cliques[index], tree.separators[index]
        parent = tree.parents[index]
        message = _log_narrow(beliefs[parent], tree.cliques[parent], separator)
        # the parent's clique may name the shared columns in the same order: both are sorted
        beliefs[index] = beliefs[index] + widen(message - upward[index], separator, clique)
    values = []
    for belief in beliefs:
        shifted = np.exp(belief - belief.max())
        values.append(shifted * (total / shifted.sum()))
    return Marginals(tree, sizes, tuple(values), total)
