"""A provider's yes to one job digest, signed with a key that only its approver holds."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from manatee._clock import parse_timestamp, timestamp
from manatee.errors import AuthorizationError, MalformedError
from manatee.records import (
    ApprovalStatement,
    SignedApproval,
    canonical_json,
    length_prefixed,
    to_base64,
    unbase64,
)

APPROVAL_LIFE = timedelta(days=7)
"""How long an approval is good for, unless the approver says otherwise."""


CLOCK_SKEW_SECONDS = 60
"""How far in the future an approval may be dated."""


def _signed_bytes(statement: ApprovalStatement) -> bytes:
    return length_prefixed("manatee-approval/v1", canonical_json(statement))


def sign_approval(
    key: bytes,
    *,
    provider: str,
    approver: str,
    job_digest: str,
    at: datetime,
    life: timedelta = APPROVAL_LIFE,
) -> SignedApproval:
    """Approve one job digest.

    Args:
        key: The approver's Ed25519 private key, raw, 32 bytes.
        provider: In whose name.
        approver: The person.
        job_digest: The one job this is good for.
        at: Now.
        life: How long the approval is good for.
    """
    statement = ApprovalStatement(
        provider=provider,
        approver=approver,
        job_digest=job_digest,
        approved_at=timestamp(at),
        expires_at=timestamp(at + life),
    )
    private = Ed25519PrivateKey.from_private_bytes(key)
    return SignedApproval(
        statement=statement,
        public_key=to_base64(private.public_key().public_bytes_raw()),
        signature=to_base64(private.sign(_signed_bytes(statement))),
    )


def verify_approval(
    approval: SignedApproval,
    *,
    job_digest: str,
    provider: str,
    trusted_keys: frozenset[str],
    at: datetime,
) -> None:
    """Check one approval.

    Args:
        approval: As received; untrusted.
        job_digest: The job it must be for.
        provider: Whose data it must be for.
        trusted_keys: The provider's approver keys: raw Ed25519 public keys in base64.
        at: The moment it must be valid at.

    Raises:
        AuthorizationError: It is for another job or provider, expired or not yet valid, not by a
            trusted key, or its signature does not hold.
    """
    statement = approval.statement
    if statement.job_digest != job_digest:
        raise AuthorizationError("the approval is for another job.")
    if statement.provider != provider:
        raise AuthorizationError("the approval is in another provider's name.")
    try:
        starts, ends = (
            parse_timestamp(text) for text in (statement.approved_at, statement.expires_at)
        )
    except ValueError as error:
        raise AuthorizationError("the approval carries an impossible time.") from error
    if not starts <= at + timedelta(seconds=CLOCK_SKEW_SECONDS) or at > ends:
        raise AuthorizationError(
            "the approval is expired or not yet valid.", hint="Ask the provider to approve again."
        )
    if approval.public_key not in trusted_keys:
        raise AuthorizationError("the approval is not by an approver this provider named.")
    try:
        public = Ed25519PublicKey.from_public_bytes(unbase64(approval.public_key))
        public.verify(unbase64(approval.signature), _signed_bytes(statement))
    except (InvalidSignature, ValueError, MalformedError) as error:
        raise AuthorizationError("the approval's signature does not hold.") from error


def count_approvers(
    approvals: Iterable[SignedApproval],
    *,
    job_digest: str,
    provider: str,
    trusted_keys: frozenset[str],
    at: datetime,
) -> int:
    """Return how many different trusted keys validly approved the job; invalid ones count nothing.

    Args: as for `verify_approval`.
    """
    keys = set()
    for approval in approvals:
        try:
            verify_approval(
                approval,
                job_digest=job_digest,
                provider=provider,
                trusted_keys=trusted_keys,
                at=at,
            )
        except AuthorizationError:
            continue
        keys.add(approval.public_key)
    return len(keys)
