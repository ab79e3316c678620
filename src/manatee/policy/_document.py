"""The policy as a provider signs it: who, from when to when, whose approvals, and Cedar text."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from manatee._clock import parse_timestamp
from manatee.errors import AuthorizationError, InputError, PolicyError
from manatee.policy._engine import CompiledPolicies, compile_policies
from manatee.records import Base64, Record, canonical_json, length_prefixed, to_base64, unbase64
from manatee.records._base import Moment, Name

ApproverKeys = dict[Name, Annotated[tuple[Base64, ...], msgspec.Meta(min_length=1, max_length=50)]]
"""Organisation to the Ed25519 public keys whose approvals count as its own."""


class PolicyDocument(Record, frozen=True, kw_only=True):
    """One provider's conditions for the keys of its data sets.

    Attributes:
        provider: Whose data; keys of anybody else's are refused.
        version: Rises with every edit; a broker takes no lower one than it has seen.
        valid_from: No key before.
        valid_until: No key after.
        approver_keys: Organisation to its approvers' Ed25519 public keys, base64. Trusted code
            counts the approvals of each; Cedar sees the counts as `context.approvals["…"]`.
        cedar: Cedar text in the closed vocabulary (`release.cedarschema`). Nothing is allowed
            but what a `permit` in it allows.
    """

    format_version: Literal[1] = 1
    provider: Name
    version: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    valid_from: Moment
    valid_until: Moment
    approver_keys: Annotated[ApproverKeys, msgspec.Meta(max_length=32)]
    cedar: Annotated[str, msgspec.Meta(max_length=64 << 10)]


class SignedPolicy(Record, frozen=True, kw_only=True):
    """A policy with its provider's Ed25519 signature; a broker's operator cannot make one."""

    document: PolicyDocument
    public_key: Base64
    signature: Base64


@dataclass(frozen=True)
class VerifiedPolicy:
    """A policy that may decide. Only `verify_policy` and `compile_document` make one."""

    document: PolicyDocument
    compiled: CompiledPolicies


def _signed_bytes(document: PolicyDocument) -> bytes:
    return length_prefixed("manatee-policy/v1", canonical_json(document))


def _dates(document: PolicyDocument) -> tuple[datetime, datetime]:
    try:
        dates = parse_timestamp(document.valid_from), parse_timestamp(document.valid_until)
    except ValueError as error:
        raise PolicyError("policy: it carries an impossible time.") from error
    if dates[0] >= dates[1]:
        raise PolicyError("policy: valid_until must be after valid_from.")
    return dates


def in_force(document: PolicyDocument, at: datetime) -> bool:
    """Whether a policy's dates include a moment; both ends are included.

    Raises:
        PolicyError: A date is impossible.
    """
    begins, ends = _dates(document)
    return begins <= at <= ends


def compile_document(document: PolicyDocument) -> VerifiedPolicy:
    """Check everything of a document that needs no key and no clock.

    Raises:
        PolicyError: A key is no key or stands for two organisations, a date is impossible, or
            the Cedar text is refused as written.
        SettingsError: The Cedar engine is not installed.
    """
    _dates(document)
    seen: set[str] = set()
    for organisation, keys in sorted(document.approver_keys.items()):
        for key in keys:
            try:
                Ed25519PublicKey.from_public_bytes(unbase64(key))
            except (ValueError, InputError) as error:
                raise PolicyError(
                    f"policy: an approver key of {organisation} is not an Ed25519 public key.",
                    hint="It is 32 bytes in base64, as `manatee new-approver-key` prints it.",
                ) from error
            if key in seen:
                raise PolicyError(
                    f"policy: an approver key of {organisation} stands twice.",
                    hint="One key counts for one organisation, once.",
                )
            seen.add(key)
    organisations = tuple(sorted(document.approver_keys))
    return VerifiedPolicy(document, compile_policies(document.cedar, organisations))


def sign_policy(key: bytes, document: PolicyDocument) -> SignedPolicy:
    """Sign a policy that would be accepted.

    Args:
        key: The provider's policy key: raw Ed25519 private key, 32 bytes.
        document: What to sign.

    Raises:
        PolicyError: As `compile_document`; nothing is signed that no broker would take.
        SettingsError: The Cedar engine is not installed.
    """
    compile_document(document)
    private = Ed25519PrivateKey.from_private_bytes(key)
    return SignedPolicy(
        document=document,
        public_key=to_base64(private.public_key().public_bytes_raw()),
        signature=to_base64(private.sign(_signed_bytes(document))),
    )


def verify_policy(
    signed: SignedPolicy,
    *,
    provider: str,
    trusted_key: bytes,
    at: datetime,
    last_version: int,
) -> VerifiedPolicy:
    """Check a signed policy.

    Args:
        signed: As received; untrusted.
        provider: Whose policy it must be.
        trusted_key: The provider's policy key: raw Ed25519 public key, 32 bytes.
        at: The moment it must be in force at.
        last_version: The highest version seen before, 0 if none. The caller must keep it where
            whoever hands in policies cannot lower it.

    Raises:
        AuthorizationError: By another key, its signature does not hold, another provider's, not
            in force, or older than one already seen.
        PolicyError: As `compile_document`.
        SettingsError: The Cedar engine is not installed.
    """
    document = signed.document
    try:
        if unbase64(signed.public_key) != trusted_key:
            raise AuthorizationError("the policy is not signed by the provider's policy key.")
        public = Ed25519PublicKey.from_public_bytes(trusted_key)
        public.verify(unbase64(signed.signature), _signed_bytes(document))
    except (InvalidSignature, ValueError, InputError) as error:
        raise AuthorizationError("the policy's signature does not hold.") from error
    if document.provider != provider:
        raise AuthorizationError("the policy is another provider's.")
    if document.version < last_version:
        raise AuthorizationError(
            f"policy version {document.version} is older than {last_version}, seen before.",
            hint="Sign the policy anew with a higher version.",
        )
    if not in_force(document, at):
        raise AuthorizationError(
            "the policy is not in force now.", hint="Sign one with other dates."
        )
    return compile_document(document)
