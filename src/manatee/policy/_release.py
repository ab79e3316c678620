"""When a provider's key broker may release a key: a closed vocabulary, deny by default.

Every list names what is allowed; an empty one allows nothing. The decision is pure: facts in,
named refusal out. Evidence itself is appraised before, by `manatee.attestation`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

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
