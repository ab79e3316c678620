"""Graphical models of noisy counts: junction trees, mirror descent, sampling. No privacy spent."""

from __future__ import annotations

from manatee.provisioning.estimation._calibrate import Marginals, calibrate
from manatee.provisioning.estimation._descent import (
    Fit,
    Measurement,
    estimate,
    tree_cells,
)
from manatee.provisioning.estimation._draw import draw, draw_counts, draw_given
from manatee.provisioning.estimation._pairs import pair_cells, pair_marginals
from manatee.provisioning.estimation._tree import Clique, JunctionTree, junction_tree

__all__ = [
    "Clique",
    "Fit",
    "JunctionTree",
    "Marginals",
    "Measurement",
    "calibrate",
    "draw",
    "draw_counts",
    "draw_given",
    "estimate",
    "junction_tree",
    "pair_cells",
    "pair_marginals",
    "tree_cells",
]
