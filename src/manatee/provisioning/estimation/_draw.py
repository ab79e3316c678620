"""Rows drawn from a fitted model: all columns, or some given others.

Post-processing only. Without given columns, counts are rounded at random instead of every row
being drawn by itself, so that the twin's marginals are closer to the model's.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from manatee.provisioning.estimation._calibrate import Floats, Marginals, narrow, widen
from manatee.provisioning.estimation._tree import Clique

Rows = npt.NDArray[np.int64]

_CELLS_AT_ONCE = 1 << 22
"""Weights held at once when rows are drawn given others, in floats."""


def draw_counts(weights: Floats, n_records: int, sampler: np.random.Generator) -> Rows:
    """Return codes whose counts are `weights` scaled and rounded at random, in random order.

    The rounding is systematic sampling: every cell gets the floor or the ceiling of its share,
    on average the share itself.
    """
    flat = weights.ravel().astype(np.float64)
    if flat.sum() <= 0:
        flat = np.ones_like(flat)
    order = sampler.permutation(len(flat))
    ends = np.cumsum(flat[order])
    ends *= n_records / ends[-1]
    marks = np.floor(ends + sampler.random()).astype(np.int64)
    counts = np.diff(np.minimum(marks, n_records), prepend=0)
    counts[-1] += n_records - int(counts.sum())
    codes = np.repeat(order, counts)
    sampler.shuffle(codes)
    return codes


def draw(marginals: Marginals, n_records: int, sampler: np.random.Generator) -> dict[str, Rows]:
    """Draw rows from the model: one array of codes per column, shape (n_records,)."""
    found: dict[str, Rows] = {}
    tree = marginals.tree
    for index, clique in enumerate(tree.cliques):
        separator = tree.separators[index]
        fresh = tuple(name for name in clique if name not in separator)
        values = narrow(marginals.values[index], clique, separator + fresh)
        shape = values.shape[len(separator) :]
        table = values.reshape(-1, int(np.prod(shape, dtype=np.int64)))
        group = np.zeros(n_records, dtype=np.int64)
        for name in separator:
            group = group * marginals.sizes[name] + found[name]
        codes = np.empty(n_records, dtype=np.int64)
        order = np.argsort(group, kind="stable")
        present, starts = np.unique(group[order], return_index=True)
        ends = np.append(starts[1:], n_records)
        for cell, start, end in zip(present, starts, ends, strict=False):
            rows = order[start:end]
            codes[rows] = draw_counts(table[cell], len(rows), sampler)
        for name, column in zip(fresh, np.unravel_index(codes, shape), strict=True):
            found[name] = column.astype(np.int64)
    return found


def draw_given(
    marginals: Marginals, given: Mapping[str, npt.NDArray[np.integer]], sampler: np.random.Generator
) -> dict[str, Rows]:
    """Draw the other columns of rows of which some are given, each row by itself.

    A combination of given codes that the model holds impossible is drawn as if nothing were
    known of it but what is possible: weights of zero become equal.

    Args:
        marginals: The model.
        given: Codes per given column, all of one length; at least one.
        sampler: Draws; adds no privacy.

    Returns:
        Codes of every column, the given ones included.
    """
    lengths = {len(codes) for codes in given.values()}
    (n_rows,) = lengths
    largest = max(values.size for values in marginals.values)
    size = max(1, _CELLS_AT_ONCE // largest)
    pieces = [
        _some(
            marginals,
            {name: codes[at : at + size].astype(np.int64) for name, codes in given.items()},
            sampler,
        )
        for at in range(0, n_rows, size)
    ]
    if not pieces:
        return {name: np.empty(0, dtype=np.int64) for name in marginals.sizes}
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in marginals.sizes}


def _some(
    marginals: Marginals, given: Mapping[str, Rows], sampler: np.random.Generator
) -> dict[str, Rows]:
    tree = marginals.tree
    n_rows = len(next(iter(given.values())))
    # Conditionals of every clique given its separator, with the rows' evidence put in: arrays of
    # shape (n_rows, cells of each column that is not given)
    open_columns: list[Clique] = []
    weights: list[Floats] = []
    for index, clique in enumerate(tree.cliques):
        values = marginals.values[index]
        if index:
            separator = tree.separators[index]
            below = narrow(values, clique, separator)
            values = values / widen(np.where(below > 0, below, 1.0), separator, clique)
        open_columns.append(tuple(name for name in clique if name not in given))
        weights.append(_put_in(values, clique, given, n_rows))
    for index in reversed(range(1, len(tree.cliques))):
        kept = tuple(name for name in open_columns[index] if name in tree.separators[index])
        message = _sum_rows(weights[index], open_columns[index], kept)
        parent = tree.parents[index]
        wide = _widen_rows(message, kept, open_columns[parent])
        product = weights[parent] * wide
        weights[parent] = product / _tops(product)
    found: dict[str, Rows] = dict(given)
    for index in range(len(tree.cliques)):
        names, values = open_columns[index], weights[index]
        for name in [name for name in names if name in found]:
            place = names.index(name)
            moved = np.moveaxis(values, place + 1, 1)
            values = moved[np.arange(n_rows), found[name]]
            names = names[:place] + names[place + 1 :]
        if names:
            flat = _draw_rows(values.reshape(n_rows, -1), sampler)
            for name, codes in zip(names, np.unravel_index(flat, values.shape[1:]), strict=True):
                found[name] = codes.astype(np.int64)
    return found


def _put_in(values: Floats, clique: Clique, given: Mapping[str, Rows], n_rows: int) -> Floats:
    here = [name for name in clique if name in given]
    away = [name for name in clique if name not in given]
    moved = narrow(values, clique, tuple(here + away))
    if not here:
        return np.broadcast_to(moved, (n_rows, *moved.shape))
    found: Floats = moved[tuple(given[name] for name in here)]
    return found


def _sum_rows(values: Floats, names: Clique, kept: Clique) -> Floats:
    away = tuple(place + 1 for place, name in enumerate(names) if name not in kept)
    return values.sum(axis=away) if away else values


def _widen_rows(values: Floats, names: Clique, clique: Clique) -> Floats:
    where = tuple(slice(None) if name in names else None for name in clique)
    return values[(slice(None), *where)]


def _tops(values: Floats) -> Floats:
    """Return each row's largest weight, 1 where all are zero, ready to divide by."""
    axes = tuple(range(1, values.ndim))
    tops = values.max(axis=axes, keepdims=True) if axes else values
    return np.where(tops > 0, tops, 1.0)


def _draw_rows(weights: Floats, sampler: np.random.Generator) -> Rows:
    """Draw one cell per row, shape (n_rows, cells) to (n_rows,)."""
    ends = np.cumsum(weights, axis=1)
    empty = ends[:, -1] <= 0
    if empty.any():
        ends = ends.copy()
        ends[empty] = np.arange(1, weights.shape[1] + 1)
    marks = sampler.random(len(ends)) * ends[:, -1]
    found: Rows = (ends <= marks[:, None]).sum(axis=1).astype(np.int64)
    return np.asarray(np.minimum(found, weights.shape[1] - 1))
