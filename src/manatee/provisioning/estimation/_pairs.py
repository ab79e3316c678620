"""All pairs at once: their marginals in a model, and what measuring each would make of its tree.

One pair by itself is `Marginals.project` and `tree_cells`. For a hundred columns there are five
thousand pairs, and one walk through the tree from each column answers for all of its pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from manatee.provisioning.estimation._calibrate import Floats, Marginals, narrow, shape_of
from manatee.provisioning.estimation._tree import Clique, JunctionTree, n_cells


def pair_marginals(marginals: Marginals) -> dict[Clique, Floats]:
    """Return the model's marginal of every pair of columns, in the columns' order."""
    found: dict[Clique, Floats] = {}
    total = marginals.total
    known: dict[tuple[int, Clique], Floats] = {}
    alone = {name: marginals.project((name,)) for name in marginals.sizes}
    place = {name: number for number, name in enumerate(marginals.sizes)}
    for name in marginals.sizes:
        for other, values in _tied(marginals, name, known):
            if place[name] < place[other]:
                found[name, other] = values
        for other in marginals.sizes:
            if place[name] < place[other] and (name, other) not in found:
                found[name, other] = np.outer(alone[name], alone[other]) / total
    return found


def pair_cells(tree: JunctionTree, sizes: Mapping[str, int]) -> dict[Clique, int]:
    """Return for every pair the cells of a junction tree that has a clique around it, too.

    An upper bound: between the cliques of the two columns, the first is added to the separators
    on the way, or the second if that is cheaper. What becomes superfluous is not taken off.
    """
    total = sum(n_cells(clique, sizes) for clique in tree.cliques)
    names = list(sizes)
    more = {name: _further(tree, sizes, name) for name in names}
    found: dict[Clique, int] = {}
    for number, first in enumerate(names):
        for second in names[number + 1 :]:
            apart = sizes[first] * sizes[second]
            cost = min(more[first].get(second, apart), more[second].get(first, apart))
            found[first, second] = total + cost
    return found


def _neighbours(tree: JunctionTree) -> list[list[tuple[int, Clique]]]:
    """Return for each clique the others that it shares columns with along the tree."""
    found: list[list[tuple[int, Clique]]] = [[] for _ in tree.cliques]
    for index, (parent, separator) in enumerate(zip(tree.parents, tree.separators, strict=True)):
        if parent >= 0 and separator:
            found[index].append((parent, separator))
            found[parent].append((index, separator))
    return found


def _walk(tree: JunctionTree, name: str) -> Iterator[tuple[int, int, Clique]]:
    """Yield the steps away from the cliques that hold a column: from, to, what they share."""
    near = _neighbours(tree)
    seen = {index for index, clique in enumerate(tree.cliques) if name in clique}
    edge = sorted(seen)
    while edge:
        index = edge.pop()
        for other, separator in near[index]:
            if other not in seen:
                seen.add(other)
                edge.append(other)
                yield index, other, separator


def _tied(
    marginals: Marginals, name: str, known: dict[tuple[int, Clique], Floats]
) -> Iterator[tuple[str, Floats]]:
    """Yield the columns that are not independent of one in the model, with the pair's marginal.

    `known` keeps the cliques' conditionals given what they share with a neighbour.
    """
    tree = marginals.tree
    joint: dict[int, tuple[Clique, Floats]] = {}
    told = {name}
    for index, clique in enumerate(tree.cliques):
        if name in clique:
            rest = tuple(other for other in clique if other != name)
            joint[index] = rest, narrow(marginals.values[index], clique, (name, *rest))
            for other in rest:
                if other not in told:
                    told.add(other)
                    yield other, narrow(marginals.values[index], clique, (name, other))
    for before, index, separator in _walk(tree, name):
        columns, values = joint[before]
        shared = narrow(values, ("", *columns), ("", *separator))
        clique = tree.cliques[index]
        fresh = tuple(other for other in clique if other not in separator)
        rows = n_cells(separator, marginals.sizes)
        given = known.get((index, separator))
        if given is None:
            flat = narrow(marginals.values[index], clique, separator + fresh).reshape(rows, -1)
            mass = flat.sum(axis=1, keepdims=True)
            given = known[index, separator] = flat / np.where(mass > 0, mass, 1.0)
        whole = shared.reshape(-1, rows, 1) * given
        joint[index] = (
            separator + fresh,
            whole.reshape(-1, *shape_of(separator + fresh, marginals.sizes)),
        )
        alone = whole.sum(axis=1).reshape(-1, *shape_of(fresh, marginals.sizes))
        for other in fresh:
            if other not in told:
                told.add(other)
                yield other, narrow(alone, ("", *fresh), ("", other))


def _further(tree: JunctionTree, sizes: Mapping[str, int], name: str) -> dict[str, int]:
    """Return the cells that tying a column to each other one of its part of the tree would add."""
    found = {}
    for clique in tree.cliques:
        if name in clique:
            found.update(dict.fromkeys(clique, 0))
    spent: dict[int, tuple[int, frozenset[str]]] = {}
    for before, index, separator in _walk(tree, name):
        cost, came = spent.get(before, (0, frozenset[str]()))
        if before in spent:  # the way leads through a clique that does not hold the column
            cost += sizes[name] * n_cells(came | set(separator), sizes)
        spent[index] = cost, frozenset(separator)
        for other in tree.cliques[index]:
            if other not in found:
                found[other] = cost + sizes[name] * sizes[other] * n_cells(separator, sizes)
    return found
