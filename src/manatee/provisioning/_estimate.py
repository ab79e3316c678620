"""From noisy counts to one consistent model, by `mbi` (McKenna, Sheldon, Miklau 2019).

Everything here is post-processing of released measurements: it costs no privacy budget and sees
no private value. `mbi` runs on JAX, which is told, once and before it is imported, to use the
CPU and 64-bit floats.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from manatee.provisioning._bins import Codes, Floats

ITERATIONS = 250
"""Mirror descent steps. A forest of pairs is a small problem: the utility of a twin did not
change between 250 and 1,000."""

Pair = tuple[str, str]


@dataclass(frozen=True)
class Measurement:
    """Noisy counts of a marginal on merged cells.

    Attributes:
        columns: One or two column names.
        counts: Shape of the columns' merged sizes.
        sigma: Standard deviation of the noise of one measured cell.
        merged: How many measured cells each count sums up, same shape.
    """

    columns: tuple[str, ...]
    counts: Floats
    sigma: float
    merged: Floats


def _mbi() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about settings of JAX that are made right here
        import jax

        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_enable_x64", True)
        jax.config.update("jax_enable_compilation_cache", False)
        import mbi

    return mbi


def estimate(
    sizes: dict[str, int], measurements: list[Measurement], total: float
) -> dict[tuple[str, ...], Floats]:
    """Fit a graphical model and return its marginal for every measurement's columns.

    Args:
        sizes: Merged cells per column.
        measurements: One per column at least; pairs form a forest.
        total: The (noisy) record count that every marginal sums to.

    Returns:
        Column names to non-negative counts, consistent with one another.
    """
    mbi = _mbi()
    domain = mbi.Domain.fromdict(sizes)
    linear = []
    for item in measurements:
        weights = 1 / np.sqrt(item.merged.ravel())
        linear.append(
            mbi.LinearMeasurement(
                item.counts.ravel() * weights,
                item.columns,
                stddev=item.sigma,
                query=mbi.WeightedQuery(weights),
            )
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = mbi.estimation.MirrorDescent().estimate(
            domain, linear, known_total=total, iters=ITERATIONS
        )
        return {
            item.columns: np.asarray(model.project(item.columns).datavector(flatten=False))
            for item in measurements
        }


def on_simplex(counts: Floats, total: float) -> Floats:
    """Return the nearest (L2) non-negative counts with the sum `total` (Duchi et al. 2008)."""
    descending = np.sort(counts)[::-1]
    shifts = (np.cumsum(descending) - total) / np.arange(1, len(counts) + 1)
    last = np.nonzero(descending > shifts)[0][-1]
    found: Floats = np.maximum(counts - shifts[last], 0.0)
    return found


def draw(weights: Floats, n_records: int, sampler: np.random.Generator) -> Codes:
    """Return codes whose counts are `weights` scaled and rounded at random, in random order."""
    if weights.sum() <= 0:
        weights = np.ones_like(weights)
    exact = weights / weights.sum() * n_records
    counts = np.floor(exact).astype(np.int64)
    rest = n_records - int(counts.sum())
    if rest > 0:
        parts = exact - counts
        chances = parts / parts.sum() if parts.sum() > 0 else np.full(len(parts), 1 / len(parts))
        counts += sampler.multinomial(rest, chances)
    codes = np.repeat(np.arange(len(counts)), counts)
    sampler.shuffle(codes)
    return codes
