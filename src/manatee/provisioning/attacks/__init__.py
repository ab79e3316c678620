"""Attacks on twins: membership inference, and values copied verbatim.

They need the real table, so their results stay with the provider. An attack that fails proves
nothing; what protects is the guarantee. Distances between real rows and their nearest twin rows
are never reported as a measure of privacy: they miss what attacks find (Yao et al. 2025, arXiv
2505.01524).
"""

from manatee.provisioning.attacks._coding import (
    RANGE,
    cells_of,
    edges,
    grid_size,
    label_of,
    n_value_cells,
    on_line,
)
from manatee.provisioning.attacks._game import FEWEST_TWINS, TwinMaker, membership_attacks
from manatee.provisioning.attacks._measures import (
    CONFIDENCE,
    AttackResult,
    Interval,
    epsilon_from_guesses,
)
from manatee.provisioning.attacks._verbatim import VerbatimCheck, VerbatimShare, check_verbatim

__all__ = [
    "CONFIDENCE",
    "FEWEST_TWINS",
    "RANGE",
    "AttackResult",
    "Interval",
    "TwinMaker",
    "VerbatimCheck",
    "VerbatimShare",
    "cells_of",
    "check_verbatim",
    "edges",
    "epsilon_from_guesses",
    "grid_size",
    "label_of",
    "membership_attacks",
    "n_value_cells",
    "on_line",
]
