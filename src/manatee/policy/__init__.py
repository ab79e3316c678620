"""What a provider allows: signed approvals and signed policies in Cedar."""

from manatee.policy._approvals import (
    APPROVAL_LIFE,
    count_approvers,
    sign_approval,
    verify_approval,
)
from manatee.policy._decide import ACCEPT_SIMULATED, REAL_BELOW_HARDWARE, Decision, decide
from manatee.policy._document import (
    ApproverKeys,
    PolicyDocument,
    SignedPolicy,
    VerifiedPolicy,
    compile_document,
    sign_policy,
    verify_policy,
)
from manatee.policy._facts import EvidenceFacts, ReleaseFacts
from manatee.policy._release import ReleasePolicy, decide_release

__all__ = [
    "ACCEPT_SIMULATED",
    "APPROVAL_LIFE",
    "REAL_BELOW_HARDWARE",
    "ApproverKeys",
    "Decision",
    "EvidenceFacts",
    "PolicyDocument",
    "ReleaseFacts",
    "ReleasePolicy",
    "SignedPolicy",
    "VerifiedPolicy",
    "compile_document",
    "count_approvers",
    "decide",
    "decide_release",
    "sign_approval",
    "sign_policy",
    "verify_approval",
    "verify_policy",
]
