"""What a provider allows: signed approvals and signed policies in Cedar."""

from manatee.policy._approvals import (
    APPROVAL_LIFE,
    count_approvers,
    sign_approval,
    verify_approval,
)
from manatee.policy._compare import Comparison, Counterexample, PolicySide, compare
from manatee.policy._decide import (
    ACCEPT_SIMULATED,
    REAL_BELOW_HARDWARE,
    Decision,
    decide,
    failed_check,
    guard_guest,
)
from manatee.policy._document import (
    ApproverKeys,
    PolicyDocument,
    SignedPolicy,
    VerifiedPolicy,
    compile_document,
    in_force,
    sign_policy,
    verify_policy,
)
from manatee.policy._engine import (
    CompiledPolicies,
    Outcome,
    compile_policies,
    evaluate,
    find_problems,
    named_organisations,
)
from manatee.policy._explain import ConditionExplanation, PolicyExplanation, explain_policies
from manatee.policy._facts import EvidenceFacts, ReleaseFacts
from manatee.policy._problems import Problem
from manatee.policy._question import PolicyQuestion, question_request
from manatee.policy._templates import TEMPLATES, Template, TemplateParameters, render_template
from manatee.policy._vocabulary import schema_text

__all__ = [
    "ACCEPT_SIMULATED",
    "APPROVAL_LIFE",
    "REAL_BELOW_HARDWARE",
    "TEMPLATES",
    "ApproverKeys",
    "Comparison",
    "CompiledPolicies",
    "ConditionExplanation",
    "Counterexample",
    "Decision",
    "EvidenceFacts",
    "Outcome",
    "PolicyDocument",
    "PolicyExplanation",
    "PolicyQuestion",
    "PolicySide",
    "Problem",
    "ReleaseFacts",
    "SignedPolicy",
    "Template",
    "TemplateParameters",
    "VerifiedPolicy",
    "compare",
    "compile_document",
    "compile_policies",
    "count_approvers",
    "decide",
    "evaluate",
    "explain_policies",
    "failed_check",
    "find_problems",
    "guard_guest",
    "in_force",
    "named_organisations",
    "question_request",
    "render_template",
    "schema_text",
    "sign_approval",
    "sign_policy",
    "verify_approval",
    "verify_policy",
]
