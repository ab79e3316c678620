"""What a provider allows: signed approvals and the conditions of key release."""

from manatee.policy._approvals import (
    APPROVAL_LIFE,
    count_approvers,
    sign_approval,
    verify_approval,
)
from manatee.policy._release import (
    ACCEPT_SIMULATED,
    REAL_BELOW_HARDWARE,
    ReleaseFacts,
    ReleasePolicy,
    decide_release,
)

__all__ = [
    "ACCEPT_SIMULATED",
    "APPROVAL_LIFE",
    "REAL_BELOW_HARDWARE",
    "ReleaseFacts",
    "ReleasePolicy",
    "count_approvers",
    "decide_release",
    "sign_approval",
    "verify_approval",
]
