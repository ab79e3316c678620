"""When a provider's key broker may release a key: a closed vocabulary, deny by default.

Every list names what is allowed; an empty one allows nothing. The decision is pure: facts in,
named refusal out. Evidence itself is appraised before, by `manatee.attestation`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from manatee._clock import parse_timestamp
from manatee.errors import KeyDeniedError
from manatee.policy._approvals import count_approvers
from manatee.policy._decide import ACCEPT_SIMULATED, REAL_BELOW_HARDWARE
from manatee.policy._facts import ReleaseFacts
from manatee.records import (
    Base64,
    DigestText,
    Record,
    Tier,
)
from manatee.records._base import Moment, Name


class ReleasePolicy(Record, frozen=True, kw_only=True):
    """One provider's conditions for the keys of its data sets.

    Attributes:
        provider: Whose data; a data set of anybody else is refused.
        minimum_tier: The weakest assurance tier that may get a key.
        runtime_digests: Runtimes that may see the data.
        output_policy_digests: Output policies a job may be run under.
        projects: Projects that may ask.
        researchers: People who may ask.
        approver_keys: Ed25519 public keys, base64, whose approval counts.
        approvals_needed: How many different ones must have approved the very job.
        valid_from: No key before.
        valid_until: No key after.
    """

    format_version: Literal[1] = 1
    provider: Name
    minimum_tier: Tier = Tier.HARDWARE
    runtime_digests: tuple[DigestText, ...]
    output_policy_digests: tuple[DigestText, ...]
    projects: tuple[Name, ...]
    researchers: tuple[Name, ...]
    approver_keys: tuple[Base64, ...]
    approvals_needed: Annotated[int, msgspec.Meta(ge=1, le=20)] = 1
    valid_from: Moment
    valid_until: Moment


def _deny(check: str, message: str, hint: str = "") -> KeyDeniedError:
    return KeyDeniedError(check, message, hint=hint)


def decide_release(policy: ReleasePolicy, facts: ReleaseFacts) -> None:
    """Decide one request. Returns only if every condition holds.

    Raises:
        KeyDeniedError: A condition does not hold; `check` names it.
    """
    manifest = facts.manifest
    if not facts.datasets:
        raise _deny("datasets", "no data set is asked for.")
    # 1. tier, and the label that overrides every policy
    if facts.tier is Tier.SIMULATED and ACCEPT_SIMULATED not in facts.insecure_settings:
        raise _deny(
            "tier",
            "simulated evidence is refused.",
            f"Only a broker started with {ACCEPT_SIMULATED} accepts it.",
        )
    if not facts.tier.meets(policy.minimum_tier):
        raise _deny(
            "tier",
            f"tier {facts.tier.value} is below the policy's minimum {policy.minimum_tier.value}.",
        )
    real = any(dataset.label == "real" for dataset in facts.datasets)
    if (
        real
        and not facts.tier.meets(Tier.HARDWARE)
        and REAL_BELOW_HARDWARE not in facts.insecure_settings
    ):
        raise _deny("label", f"data labelled real is not released at tier {facts.tier.value}.")
    # 2. dates
    try:
        begins, ends = parse_timestamp(policy.valid_from), parse_timestamp(policy.valid_until)
    except ValueError as error:
        raise _deny("dates", "the policy carries an impossible time.") from error
    if not begins <= facts.at <= ends:
        raise _deny("dates", "the policy is not in force now.")
    # 3. whose data, and who asks for what
    if any(dataset.provider != policy.provider for dataset in facts.datasets):
        raise _deny("provider", "a data set is another provider's.")
    for check, value, allowed in (
        ("project", manifest.project, policy.projects),
        ("researcher", manifest.researcher, policy.researchers),
        ("runtime", manifest.runtime_digest, policy.runtime_digests),
        ("output-policy", manifest.output_policy_digest, policy.output_policy_digests),
    ):
        if value not in allowed:
            raise _deny(check, f"the job's {check} is not one the policy allows.")
    if manifest.stage != "secure":
        raise _deny("stage", "keys are released for stage `secure` only.")
    # 4. approvals of this very job
    approvers = count_approvers(
        facts.approvals,
        job_digest=facts.job_digest,
        provider=policy.provider,
        trusted_keys=frozenset(policy.approver_keys),
        at=facts.at,
    )
    if approvers < policy.approvals_needed:
        raise _deny(
            "approvals",
            f"{approvers} valid approval(s) of this job, {policy.approvals_needed} needed.",
            "Ask the provider to approve this job digest.",
        )
