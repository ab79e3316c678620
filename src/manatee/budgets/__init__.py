"""The privacy budget ledger: what was spent on a data set, over every twin and release.

Conversion and composition are OpenDP's (`manatee[provisioning]`), loaded when first needed.
"""

from __future__ import annotations

from manatee.budgets._composition import composed, epsilon_of, rho_of_pure, rounded_up
from manatee.budgets._ledger import BudgetLedger
from manatee.budgets._noise import discrete_gaussian, least_scale, noisy_counts
from manatee.budgets._opendp import opendp
from manatee.budgets._types import Charge, Limit, Spending, Unit

__all__ = [
    "BudgetLedger",
    "Charge",
    "Limit",
    "Spending",
    "Unit",
    "composed",
    "discrete_gaussian",
    "epsilon_of",
    "least_scale",
    "noisy_counts",
    "opendp",
    "rho_of_pure",
    "rounded_up",
]
