"""Statistical audits of mechanisms: attempts to refute what a privacy statement claims.

An audit that finds nothing proves nothing; one that finds something proves a defect, up to its
stated false-alarm rate. Several kinds are needed together, because each misses what another sees:
telling neighbouring tables apart, residuals against the claimed noise, the ledger, and replaying
a run on a neighbouring table.
"""

from manatee.provisioning.audits._audit_counts import audit_counts
from manatee.provisioning.audits._audit_fit import Fit, audit_fit
from manatee.provisioning.audits._bounds import (
    best_advantage,
    best_auc,
    best_tpr,
    epsilon_at_least,
    lower_limit,
    mu_at_least,
    rho_at_least,
    upper_limit,
)
from manatee.provisioning.audits._charges import ChargeLike, check_charges, cost_of
from manatee.provisioning.audits._distinguish import FALSE_ALARM, distinguish
from manatee.provisioning.audits._every_word import check_every_word
from manatee.provisioning.audits._replay import (
    RecordingBudget,
    ReplayingBudget,
    check_sensitivities,
)
from manatee.provisioning.audits._residuals import (
    check_repeats,
    check_residuals,
    in_fresh_processes,
)
from manatee.provisioning.audits._types import Claim, Finding, Released, Run

__all__ = [
    "FALSE_ALARM",
    "ChargeLike",
    "Claim",
    "Finding",
    "Fit",
    "RecordingBudget",
    "Released",
    "ReplayingBudget",
    "Run",
    "audit_counts",
    "audit_fit",
    "best_advantage",
    "best_auc",
    "best_tpr",
    "check_charges",
    "check_every_word",
    "check_repeats",
    "check_residuals",
    "check_sensitivities",
    "cost_of",
    "distinguish",
    "epsilon_at_least",
    "in_fresh_processes",
    "lower_limit",
    "mu_at_least",
    "rho_at_least",
    "upper_limit",
]
