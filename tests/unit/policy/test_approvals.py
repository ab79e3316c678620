"""Approvals: good for one job, one provider, a while, and only by keys the provider named."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from manatee.errors import AuthorizationError
from manatee.policy import APPROVAL_LIFE, count_approvers, sign_approval, verify_approval
from manatee.records import SignedApproval, digest_bytes, to_base64

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
JOB = digest_bytes(b"job")
GRACE, EVE = (Ed25519PrivateKey.generate().private_bytes_raw() for _ in range(2))


def public(key: bytes) -> str:
    private = Ed25519PrivateKey.from_private_bytes(key)
    return to_base64(private.public_key().public_bytes_raw())


def approval(**members: Any) -> SignedApproval:
    plain: dict[str, Any] = {
        "key": GRACE,
        "provider": "insurer",
        "approver": "grace",
        "job_digest": JOB,
        "at": NOW,
    }
    return sign_approval(**(plain | members))


def verify(given: SignedApproval, **members: Any) -> None:
    plain: dict[str, Any] = {
        "job_digest": JOB,
        "provider": "insurer",
        "trusted_keys": frozenset({public(GRACE)}),
        "at": NOW,
    }
    verify_approval(given, **(plain | members))


def test_a_genuine_approval_holds_for_its_whole_life_and_no_longer() -> None:
    verify(approval())
    verify(approval(), at=NOW + APPROVAL_LIFE)
    with pytest.raises(AuthorizationError, match="expired"):
        verify(approval(), at=NOW + APPROVAL_LIFE + timedelta(seconds=1))


def test_an_approval_from_the_future_counts_only_within_clock_skew() -> None:
    verify(approval(), at=NOW - timedelta(seconds=60))
    with pytest.raises(AuthorizationError, match="not yet valid"):
        verify(approval(), at=NOW - timedelta(seconds=61))


def test_an_approval_of_another_job_is_refused() -> None:
    with pytest.raises(AuthorizationError, match="another job"):
        verify(approval(job_digest=digest_bytes(b"another job")))


def test_an_approval_in_another_providers_name_is_refused() -> None:
    with pytest.raises(AuthorizationError, match="another provider"):
        verify(approval(provider="bank"))


def test_a_stranger_cannot_approve_in_the_approvers_name() -> None:
    with pytest.raises(AuthorizationError, match="not by an approver"):
        verify(approval(key=EVE))


def test_nobody_is_trusted_by_default() -> None:
    with pytest.raises(AuthorizationError, match="not by an approver"):
        verify(approval(), trusted_keys=frozenset())


def test_a_strangers_signature_under_a_trusted_key_is_refused() -> None:
    forged = msgspec.structs.replace(approval(key=EVE), public_key=public(GRACE))
    with pytest.raises(AuthorizationError, match="signature"):
        verify(forged)


@pytest.mark.parametrize(
    "change",
    [
        {"approver": "eve"},
        {"expires_at": "2030-01-01T00:00:00Z"},
        {"approved_at": "2026-02-01T00:00:00Z"},
    ],
)
def test_an_edited_statement_breaks_the_signature(change: dict[str, str]) -> None:
    given = approval()
    statement = msgspec.structs.replace(given.statement, **change)
    with pytest.raises(AuthorizationError, match="signature"):
        verify(msgspec.structs.replace(given, statement=statement))


@pytest.mark.parametrize("signature", ["", "AA==", "A" * 88, "=", to_base64(bytes(64))])
def test_a_signature_of_any_other_form_is_refused(signature: str) -> None:
    with pytest.raises(AuthorizationError, match="signature"):
        verify(msgspec.structs.replace(approval(), signature=signature))


@pytest.mark.parametrize("key", ["", "AA==", "not base64", to_base64(bytes(31))])
def test_a_trusted_key_that_is_no_key_verifies_nothing(key: str) -> None:
    given = msgspec.structs.replace(approval(), public_key=key)
    with pytest.raises(AuthorizationError, match="signature"):
        verify(given, trusted_keys=frozenset({key}))


@pytest.mark.parametrize(
    ("member", "moment"),
    [
        ("approved_at", "0001-01-01T00:00:00Z"),
        ("approved_at", "0000-01-01T00:00:00Z"),
        ("approved_at", "2026-02-30T00:00:00Z"),
        ("expires_at", "9999-12-31T23:59:59Z"),
        ("expires_at", "2026-13-01T00:00:00Z"),
    ],
)
def test_dates_at_the_edge_of_the_calendar_are_refused_as_any_other_forgery(
    member: str, moment: str
) -> None:
    given = approval()
    statement = msgspec.structs.replace(given.statement, **{member: moment})
    with pytest.raises(AuthorizationError):
        verify(msgspec.structs.replace(given, statement=statement))


def count(*approvals: SignedApproval) -> int:
    trusted = frozenset({public(GRACE), public(EVE)})
    return count_approvers(
        approvals, job_digest=JOB, provider="insurer", trusted_keys=trusted, at=NOW
    )


def test_one_key_counts_once_however_often_and_under_whatever_name_it_approves() -> None:
    twice = (approval(), approval(approver="alan"), approval(at=NOW - timedelta(days=1)))
    assert count(*twice) == 1
    assert count(*twice, approval(key=EVE, approver="eve")) == 2


def test_bad_approvals_count_nothing_and_spoil_nothing() -> None:
    bad = (
        approval(job_digest=digest_bytes(b"another job")),
        approval(provider="bank"),
        approval(key=Ed25519PrivateKey.generate().private_bytes_raw()),
        approval(at=NOW - timedelta(days=8)),
    )
    assert count(*bad) == 0
    assert count(*bad, approval()) == 1
    assert count() == 0
