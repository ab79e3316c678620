"""OpenDP without its prelude, which loads scikit-learn: a third of the memory and of the time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from manatee.errors import BudgetError


def opendp() -> Any:
    """Return what ManaTEE uses of OpenDP, under the prelude's names; loaded when first needed.

    Raises:
        BudgetError: It is not installed.
    """
    try:
        from opendp import combinators, domains, measurements, measures, metrics, mod
    except ImportError as error:
        raise BudgetError(
            "differential privacy needs OpenDP, which is not here.",
            hint="Install manatee[provisioning].",
        ) from error
    mod.enable_features("contrib", "honest-but-curious")
    return SimpleNamespace(
        c=combinators,
        m=measurements,
        absolute_distance=metrics.absolute_distance,
        atom_domain=domains.atom_domain,
        l1_distance=metrics.l1_distance,
        l2_distance=metrics.l2_distance,
        linf_distance=metrics.linf_distance,
        max_divergence=measures.max_divergence,
        vector_domain=domains.vector_domain,
        zero_concentrated_divergence=measures.zero_concentrated_divergence,
    )
