"""The decision: guards that no policy can override, then Cedar, then a refusal with a name.

Deny is the default everywhere: no facts, no permit, an error anywhere, or one data set of
several that is not allowed.
"""

from __future__ import annotations

from dataclasses import dataclass

from manatee.errors import KeyDeniedError
from manatee.policy._approvals import count_approvers
from manatee.policy._document import VerifiedPolicy, in_force
from manatee.policy._engine import Outcome, evaluate
from manatee.policy._explain import PolicyExplanation, explain_policies
from manatee.policy._facts import EvidenceFacts, ReleaseFacts
from manatee.policy._request import CedarRequest, cedar_request
from manatee.records import Tier

REAL_BELOW_HARDWARE = "insecure_release_real_data_below_hardware"
ACCEPT_SIMULATED = "insecure_accept_simulated_evidence"

MAX_REASONS = 40
"""Most reasons kept for the provider's log."""


@dataclass(frozen=True)
class Decision:
    """A yes. A no is always a `KeyDeniedError`.

    Attributes:
        policy_version: Of the document that decided.
        permits: The permits that allowed, by name, once each.
        approvals: Organisation to its number of valid approvals of this job.
        reasons: For the provider's log.
    """

    policy_version: int
    permits: tuple[str, ...]
    approvals: dict[str, int]
    reasons: tuple[str, ...]


def _deny(
    check: str, message: str, hint: str = "", reasons: tuple[str, ...] = ()
) -> KeyDeniedError:
    return KeyDeniedError(check, message, hint=hint, reasons=reasons or (message,))


def guard_guest(
    *,
    debug: bool,
    migration: bool,
    tier: Tier,
    labels: tuple[str, ...],
    insecure_settings: tuple[str, ...],
) -> None:
    """Check what no policy can override of a guest and the labels of the data it asks for.

    Raises:
        KeyDeniedError: A guard does not hold; `check` names it.
    """
    if debug is not False:
        raise _deny("debug", "somebody can look into this guest.")
    if migration is not False:
        raise _deny("migration", "somebody can take this guest over.")
    if tier is Tier.SIMULATED and ACCEPT_SIMULATED not in insecure_settings:
        raise _deny(
            "tier",
            "simulated evidence is refused.",
            f"Only a broker started with {ACCEPT_SIMULATED} accepts it.",
        )
    real = any(label != "synthetic" for label in labels)
    if real and not tier.meets(Tier.HARDWARE) and REAL_BELOW_HARDWARE not in insecure_settings:
        raise _deny("label", f"data labelled real is not released at tier {tier.value}.")


def guard(provider: str, facts: ReleaseFacts) -> EvidenceFacts:
    """Check what no policy can override.

    Returns:
        The evidence, which is there.

    Raises:
        KeyDeniedError: A guard does not hold; `check` names it.
    """
    evidence = facts.evidence
    if not facts.datasets:
        raise _deny("datasets", "no data set is asked for.")
    if evidence is None:
        raise _deny("evidence", "nothing is known of the guest.")
    guard_guest(
        debug=evidence.debug,
        migration=evidence.migration,
        tier=facts.tier,
        labels=tuple(dataset.label for dataset in facts.datasets),
        insecure_settings=facts.insecure_settings,
    )
    if any(dataset.provider != provider for dataset in facts.datasets):
        raise _deny("provider", "a data set is another provider's.")
    if facts.manifest.stage != "secure":
        raise _deny("stage", "keys are released for stage `secure` only.")
    return evidence


def count_approvals(policy: VerifiedPolicy, facts: ReleaseFacts) -> dict[str, int]:
    """Return each organisation's number of different keys that validly approved this job."""
    approvals = tuple(facts.approvals)
    document = policy.document
    return {
        organisation: count_approvers(
            approvals,
            job_digest=facts.job_digest,
            provider=document.provider,
            trusted_keys=frozenset(keys),
            at=facts.at,
        )
        for organisation, keys in document.approver_keys.items()
    }


def decide(policy: VerifiedPolicy, facts: ReleaseFacts) -> Decision:
    """Decide one request. Returns only if every data set asked for is allowed.

    Args:
        policy: Verified: its signature, version and text.
        facts: Established by trusted code.

    Raises:
        KeyDeniedError: `check` names what failed; the message holds nothing of the policy and
            goes to the researcher; `reasons` are for the provider.
    """
    evidence = guard(policy.document.provider, facts)
    if not in_force(policy.document, facts.at):
        raise _deny("dates", "the policy is not in force now.")
    permits: dict[str, None] = {}
    reasons: list[str] = []
    approvals = count_approvals(policy, facts)
    for dataset in facts.datasets:
        request = cedar_request(facts, evidence, dataset, approvals)
        outcome = evaluate(policy.compiled, request.request, request.entities)
        if not outcome.allowed:
            raise _refusal(policy, request, outcome)
        permits.update(dict.fromkeys(item.name for item in outcome.deciding))
        name = request.request["resource"]["id"]
        reasons.append(f"{name}: allowed by " + ", ".join(item.name for item in outcome.deciding))
    return Decision(
        policy_version=policy.document.version,
        permits=tuple(permits),
        approvals=approvals,
        reasons=tuple(reasons[:MAX_REASONS]),
    )


def _refusal(policy: VerifiedPolicy, request: CedarRequest, outcome: Outcome) -> KeyDeniedError:
    if outcome.errors:
        return _deny("policy", "the policy could not be evaluated.", "", outcome.errors)
    explained = explain_policies(policy.compiled, request)
    check = failed_check(explained)
    name = request.request["resource"]["id"]
    return _deny(
        check,
        f"the provider's policy does not allow this ({check}).",
        "Ask the provider to approve this job digest." if check == "approvals" else "",
        tuple(f"{name}: {line}" for line in _reasons(explained))[:MAX_REASONS],
    )


def failed_check(explained: tuple[PolicyExplanation, ...]) -> str:
    """Return the name of the check that best says why nothing was allowed.

    A forbid that applies; else what the nearest permit lacks: the one whose scope fits and of
    whose conditions the fewest fail.
    """
    for item in explained:
        if item.effect == "forbid" and item.applies:
            return item.check
    permits = [item for item in explained if item.effect == "permit" and item.failed]
    if not permits:
        return "policy"
    return min(permits, key=lambda item: len(item.failed)).failed[0].check


def _reasons(explained: tuple[PolicyExplanation, ...]) -> list[str]:
    found = []
    for item in explained:
        if item.effect == "forbid":
            if item.applies:
                found.append(f"forbid {item.name}, line {item.line}: applies")
            continue
        found.extend(
            f"permit {item.name}, line {part.line}, column {part.column}: not so: {part.text}"
            for part in item.failed
        )
    return found or ["no permit in the policy"]
