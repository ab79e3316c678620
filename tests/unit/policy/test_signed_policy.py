"""Signed policies: by the provider's key, in force, never an older one, and never unreadable."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from manatee._clock import timestamp
from manatee.errors import AuthorizationError, MalformedError, PolicyError
from manatee.policy import (
    PolicyDocument,
    SignedPolicy,
    VerifiedPolicy,
    compile_document,
    sign_policy,
    verify_policy,
)
from manatee.records import canonical_json, length_prefixed, read_record, to_base64, unbase64

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PROVIDER, EVE, GRACE = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2, 3))


def public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def document(**members: Any) -> PolicyDocument:
    plain: dict[str, Any] = {
        "provider": "insurer",
        "version": 5,
        "valid_from": timestamp(NOW - timedelta(days=1)),
        "valid_until": timestamp(NOW + timedelta(days=1)),
        "approver_keys": {"insurer": (to_base64(public(GRACE)),)},
        "cedar": 'permit (principal, action, resource) when { context.project == "charges" };',
    }
    return PolicyDocument(**(plain | members))


def signed(key: Ed25519PrivateKey = PROVIDER, **members: Any) -> SignedPolicy:
    return sign_policy(key.private_bytes_raw(), document(**members))


def verify(given: SignedPolicy, **members: Any) -> VerifiedPolicy:
    plain: dict[str, Any] = {
        "provider": "insurer",
        "trusted_key": public(PROVIDER),
        "at": NOW,
        "last_version": 5,
    }
    return verify_policy(given, **(plain | members))


def test_a_policy_by_the_provider_is_taken_and_taken_again() -> None:
    assert verify(signed()).document == document()
    assert verify(signed(), last_version=0).document.version == 5


def test_a_policy_reads_back_from_its_canonical_form() -> None:
    given = signed()
    assert read_record(canonical_json(given), SignedPolicy, what="policy") == given


def test_an_older_policy_than_the_last_one_seen_is_refused() -> None:
    with pytest.raises(AuthorizationError, match="older than 6"):
        verify(signed(), last_version=6)


def test_a_stranger_cannot_sign_for_the_provider() -> None:
    with pytest.raises(AuthorizationError, match="not signed by"):
        verify(signed(EVE))


def test_a_strangers_signature_under_the_providers_key_is_refused() -> None:
    forged = msgspec.structs.replace(signed(EVE), public_key=to_base64(public(PROVIDER)))
    with pytest.raises(AuthorizationError, match="does not hold"):
        verify(forged)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 6},
        {"cedar": "permit (principal, action, resource);"},
        {"valid_until": "2030-01-01T00:00:00Z"},
        {"approver_keys": {"insurer": (to_base64(public(EVE)),)}},
        {"provider": "bank"},
    ],
)
def test_an_edited_policy_is_refused(change: dict[str, Any]) -> None:
    edited = msgspec.structs.replace(signed(), document=document(**change))
    with pytest.raises(AuthorizationError, match="does not hold"):
        verify(edited)


def test_a_signature_made_for_another_purpose_is_refused() -> None:
    framed = length_prefixed("manatee-approval/v1", canonical_json(document()))
    other = to_base64(PROVIDER.sign(framed))
    with pytest.raises(AuthorizationError, match="does not hold"):
        verify(msgspec.structs.replace(signed(), signature=other))


@pytest.mark.parametrize("signature", ["", "AA==", "=", to_base64(bytes(64))])
def test_a_signature_of_any_other_form_is_refused(signature: str) -> None:
    with pytest.raises(AuthorizationError, match="does not hold"):
        verify(msgspec.structs.replace(signed(), signature=signature))


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33)])
def test_a_trusted_key_that_is_no_key_verifies_nothing(key: bytes) -> None:
    with pytest.raises(AuthorizationError, match="does not hold"):
        verify(msgspec.structs.replace(signed(), public_key=to_base64(key)), trusted_key=key)


def test_another_providers_policy_is_refused() -> None:
    with pytest.raises(AuthorizationError, match="another provider"):
        verify(signed(provider="bank"))


@pytest.mark.parametrize("days", [-2, 2])
def test_a_policy_out_of_force_is_refused(days: int) -> None:
    with pytest.raises(AuthorizationError, match="not in force"):
        verify(signed(), at=NOW + timedelta(days=days))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"valid_until": "2026-02-31T00:00:00Z"}, "impossible time"),
        ({"valid_until": timestamp(NOW - timedelta(days=3))}, "after valid_from"),
        ({"approver_keys": {"insurer": ("AA==",)}}, "not an Ed25519"),
        ({"approver_keys": {"insurer": ("AB==",)}}, "not an Ed25519"),
        ({"approver_keys": {"a": (to_base64(public(EVE)),), "b": (to_base64(public(EVE)),)}},
         "stands twice"),
        ({"cedar": "permit (principal, action, resource)"}, "line 1, column 37"),
        ({"cedar": "permit (principal, action, resource) when { context.projct == 1 };"},
         "line 1, column 53: there is no attribute projct"),
        ({"cedar": 'permit (principal, action, resource) when { context.approvals["bank"] > 0 };'},
         "approvals of bank are not counted"),
    ],
)  # fmt: skip
def test_a_policy_no_broker_would_take_is_not_signed(change: dict[str, Any], message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        signed(**change)


def test_a_signed_text_that_does_not_validate_is_refused_by_the_broker_too() -> None:
    bad = document(cedar="permit (principal, action, resource) when { context.x };")
    framed = length_prefixed("manatee-policy/v1", canonical_json(bad))
    given = SignedPolicy(
        document=bad,
        public_key=to_base64(public(PROVIDER)),
        signature=to_base64(PROVIDER.sign(framed)),
    )
    with pytest.raises(PolicyError, match="no attribute x"):
        verify(given)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 0},
        {"version": "1"},
        {"format_version": 2},
        {"approver_keys": {"Insurer": [to_base64(public(EVE))]}},
        {"approver_keys": {"insurer": []}},
        {'approver_keys': {'a": Long, "b': [to_base64(public(EVE))]}},
        {"valid_from": "now"},
        {"cedar": "x" * 65537},
        {"more": 1},
    ],
)  # fmt: skip
def test_a_document_says_only_what_its_form_has(change: dict[str, Any]) -> None:
    plain = msgspec.to_builtins(document()) | change
    with pytest.raises(MalformedError):
        read_record(canonical_json(plain), PolicyDocument, what="policy")


def test_a_text_without_approvals_may_do_without_keys() -> None:
    assert compile_document(document(approver_keys={})).compiled.organisations == ()


def test_the_signature_covers_the_canonical_document_under_its_own_name() -> None:
    given = signed()
    framed = length_prefixed("manatee-policy/v1", canonical_json(document()))
    PROVIDER.public_key().verify(unbase64(given.signature), framed)
