"""Junction trees: cliques of columns arranged so that local consistency is global.

Source: Koller, Friedman 2009, "Probabilistic Graphical Models", chapters 9 and 10.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Clique = tuple[str, ...]


@dataclass(frozen=True)
class JunctionTree:
    """A tree (or forest, joined by empty separators) of maximal cliques.

    Attributes:
        cliques: Each in the order of the columns; parents stand before their children.
        parents: Index of each clique's parent; -1 for the first.
        separators: Columns shared with the parent.
    """

    cliques: tuple[Clique, ...]
    parents: tuple[int, ...]
    separators: tuple[Clique, ...]

    def home(self, columns: Iterable[str]) -> int | None:
        """Return the smallest index of a clique that holds all the columns; None if none does."""
        wanted = set(columns)
        for index, clique in enumerate(self.cliques):
            if wanted <= set(clique):
                return index
        return None


def n_cells(clique: Iterable[str], sizes: Mapping[str, int]) -> int:
    """Return the number of cells of a clique's marginal."""
    return math.prod(sizes[name] for name in clique)


def junction_tree(sizes: Mapping[str, int], measured: Iterable[Clique]) -> JunctionTree:
    """Return a junction tree that has a clique around every measured set of columns.

    Columns are eliminated by least fill-in, ties by the size of the clique that appears.

    Args:
        sizes: Cells of each column; its order is the order of columns in cliques.
        measured: Sets of columns.
    """
    order = {name: place for place, name in enumerate(sizes)}
    near: dict[str, set[str]] = {name: set() for name in sizes}
    for columns in measured:
        for first, second in itertools.permutations(columns, 2):
            near[first].add(second)
    found: list[set[str]] = []
    left = {name: set(others) for name, others in near.items()}
    while left:
        name = min(left, key=lambda item: (_fill_in(left, item), _cost(left, item, sizes)))
        clique = {name, *left[name]}
        for first, second in itertools.permutations(left[name], 2):
            left[first].add(second)
        for other in left.pop(name):
            left[other].discard(name)
        if not any(clique <= other for other in found):
            found.append(clique)
    cliques = [tuple(sorted(clique, key=order.__getitem__)) for clique in found]
    return _span(cliques, sizes)


def _fill_in(near: Mapping[str, set[str]], name: str) -> int:
    others = near[name]
    return sum(second not in near[first] for first, second in itertools.combinations(others, 2))


def _cost(near: Mapping[str, set[str]], name: str, sizes: Mapping[str, int]) -> int:
    return n_cells({name, *near[name]}, sizes)


def _span(cliques: list[Clique], sizes: Mapping[str, int]) -> JunctionTree:
    """Join cliques by a maximum spanning tree of shared columns (Prim)."""
    if not cliques:
        return JunctionTree((), (), ())
    members = [frozenset(clique) for clique in cliques]
    first = max(range(len(cliques)), key=lambda index: n_cells(cliques[index], sizes))
    placed, parents = [first], [-1]
    separators: list[Clique] = [()]
    best = {
        index: (len(members[index] & members[first]), 0)
        for index in range(len(cliques))
        if index != first
    }
    while best:
        index = max(best, key=lambda item: best[item][0])
        _, parent = best.pop(index)
        shared = members[index] & members[placed[parent]]
        parents.append(parent)
        separators.append(tuple(name for name in cliques[index] if name in shared))
        placed.append(index)
        for other, (weight, _) in best.items():
            mine = len(members[other] & members[index])
            if mine > weight:
                best[other] = (mine, len(placed) - 1)
    return JunctionTree(
        tuple(cliques[index] for index in placed), tuple(parents), tuple(separators)
    )
