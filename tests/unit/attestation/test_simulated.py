"""Simulated evidence: for every check of the verifier, evidence that only it refuses."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from manatee.attestation import (
    AttestationResult,
    ExpectedBinding,
    Mark,
    ReferenceValues,
    SimulatedClaims,
    SimulatedDevice,
    appraise,
)
from manatee.attestation._simulated import AUTHORITY, DEVICE, KIND
from manatee.errors import (
    AppraisalRefusedError,
    AttestationError,
    MalformedError,
    ManateeError,
    TooLargeError,
)
from manatee.records import (
    Evidence,
    Tier,
    binding,
    canonical_json,
    digest_bytes,
    report_data,
    to_base64,
    unbase64,
)
from manatee.testing import EvidenceForge, as_evidence, forge_identity

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RUNTIME = digest_bytes(b"runtime")
JOB = digest_bytes(b"job")
KEY = bytes(range(32))
NONCE = bytes(32)
CLAIMS = SimulatedClaims(runtime_digest=RUNTIME, job_digest=JOB, debug=False)


def bound(**members: Any) -> bytes:
    plain: dict[str, Any] = {
        "purpose": "key-release",
        "audience": "broker",
        "nonce": NONCE,
        "job_digest": JOB,
        "session_key": KEY,
    }
    return binding(**(plain | members))


@pytest.fixture(scope="module")
def forge() -> EvidenceForge:
    return EvidenceForge.new(NOW)


def look(
    evidence: Evidence,
    roots: dict[str, tuple[str, ...]],
    *,
    at: datetime = NOW,
    runtimes: tuple[str, ...] = (RUNTIME,),
    max_age_seconds: int | None = 120,
) -> AttestationResult:
    return appraise(
        evidence,
        at=at,
        expected_binding=ExpectedBinding.of(bound()),
        reference_values=ReferenceValues(runtime_digests=runtimes, roots=roots),
        max_age_seconds=max_age_seconds,
    )


def failed(result: AttestationResult) -> list[str]:
    return [item.name for item in result.checks if item.mark is Mark.FAILED]


def test_genuine_evidence_is_accepted_at_the_lowest_tier(forge: EvidenceForge) -> None:
    result = look(forge.evidence(bound(), CLAIMS), forge.roots())
    assert result.accepted
    assert result.tier is Tier.SIMULATED
    claims = result.require()
    assert (claims.job_digest, claims.runtime_digest, claims.debug) == (JOB, RUNTIME, False)
    assert claims.issued_at == NOW


def test_only_the_signature_fails_when_a_claim_was_edited(forge: EvidenceForge) -> None:
    report = forge.report(bound(), CLAIMS)
    report["body"]["claims"]["job_digest"] = digest_bytes(b"another job")
    result = look(as_evidence(canonical_json(report)), forge.roots())
    assert failed(result) == ["signature"]
    assert result.claims is None


def test_only_the_signature_fails_when_another_key_signed(forge: EvidenceForge) -> None:
    report = forge.report(bound(), CLAIMS)
    report["signature"] = EvidenceForge.new(NOW).report(bound(), CLAIMS)["signature"]
    assert failed(look(as_evidence(canonical_json(report)), forge.roots())) == ["signature"]


def test_a_self_made_authority_with_the_same_names_is_not_the_pinned_one(
    forge: EvidenceForge,
) -> None:
    rogue = EvidenceForge.new(NOW)
    assert rogue.authority.certificate.subject == forge.authority.certificate.subject
    result = look(rogue.evidence(bound(), CLAIMS), forge.roots())
    assert failed(result) == ["root"]
    assert result.claims is None
    with pytest.raises(AppraisalRefusedError, match=r"\[root\]"):
        result.require()


def test_presenting_the_pinned_certificate_above_a_device_it_never_issued_fails(
    forge: EvidenceForge,
) -> None:
    mixed = EvidenceForge(NOW, forge.authority, EvidenceForge.new(NOW).device)
    assert failed(look(mixed.evidence(bound(), CLAIMS), forge.roots())) == ["root"]


def test_no_pinned_root_accepts_nothing(forge: EvidenceForge) -> None:
    for roots in ({}, {KIND: ()}, {"amd-sev-snp": forge.roots()[KIND]}):
        assert failed(look(forge.evidence(bound(), CLAIMS), roots)) == ["root"]


def test_a_leaf_acting_as_authority_is_refused_even_when_pinned() -> None:
    leaf = forge_identity(NOW, subject=AUTHORITY, ca=False)
    device = forge_identity(NOW, subject=DEVICE, issuer=leaf, ca=False)
    forge = EvidenceForge(NOW, leaf, device)
    assert failed(look(forge.evidence(bound(), CLAIMS), forge.roots())) == ["root"]


def test_an_authority_that_is_not_its_own_root_is_refused_even_when_pinned() -> None:
    root = forge_identity(NOW)
    between = forge_identity(NOW, issuer=root)
    device = forge_identity(NOW, subject=DEVICE, issuer=between, ca=False)
    # the same subject as the root: only the signature tells them apart
    forge = EvidenceForge(NOW, between, device)
    assert failed(look(forge.evidence(bound(), CLAIMS), forge.roots())) == ["root"]


def test_an_authority_that_signs_evidence_itself_is_refused(forge: EvidenceForge) -> None:
    direct = EvidenceForge(NOW, forge.authority, forge.authority)
    assert failed(look(direct.evidence(bound(), CLAIMS), forge.roots())) == ["root"]


@pytest.mark.parametrize("who", ["device", "authority"])
@pytest.mark.parametrize("days", [(-20, -10), (10, 20)])
def test_an_expired_or_future_certificate_is_refused(who: str, days: tuple[int, int]) -> None:
    starts, ends = (timedelta(days=number) for number in days)
    window: dict[str, Any] = {"starts": starts, "ends": ends}
    authority = forge_identity(NOW, **(window if who == "authority" else {}))
    device = forge_identity(
        NOW, subject=DEVICE, issuer=authority, ca=False, **(window if who == "device" else {})
    )
    forge = EvidenceForge(NOW, authority, device)
    assert failed(look(forge.evidence(bound(), CLAIMS), forge.roots())) == ["root"]


@pytest.mark.parametrize("seconds", [-121, 61])
def test_old_and_future_dated_evidence_is_refused(forge: EvidenceForge, seconds: int) -> None:
    evidence = forge.evidence(bound(), CLAIMS, issued_at=NOW + timedelta(seconds=seconds))
    assert failed(look(evidence, forge.roots())) == ["freshness"]


@pytest.mark.parametrize("seconds", [-120, 0, 60])
def test_evidence_within_the_allowed_age_and_skew_is_accepted(
    forge: EvidenceForge, seconds: int
) -> None:
    evidence = forge.evidence(bound(), CLAIMS, issued_at=NOW + timedelta(seconds=seconds))
    assert look(evidence, forge.roots()).accepted


def test_an_archive_reads_old_evidence_but_never_evidence_from_the_future(
    forge: EvidenceForge,
) -> None:
    old = forge.evidence(bound(), CLAIMS, issued_at=NOW - timedelta(days=300))
    assert look(old, forge.roots(), max_age_seconds=None).accepted
    future = forge.evidence(bound(), CLAIMS, issued_at=NOW + timedelta(seconds=61))
    assert failed(look(future, forge.roots(), max_age_seconds=None)) == ["freshness"]


@pytest.mark.parametrize(
    ("attack", "member"),
    [
        ("result evidence for key release", {"purpose": "result"}),
        ("another broker's evidence", {"audience": "other-broker"}),
        ("replayed under a new nonce", {"nonce": bytes([1]) * 32}),
        ("evidence of another job", {"job_digest": digest_bytes(b"another job")}),
        ("swapped session key", {"session_key": bytes(32)}),
    ],
)
def test_only_the_binding_fails_for_evidence_of_another_session(
    forge: EvidenceForge, attack: str, member: dict[str, Any]
) -> None:
    result = look(forge.evidence(bound(**member), CLAIMS), forge.roots())
    assert failed(result) == ["binding"], attack


def test_report_data_that_only_begins_with_the_binding_is_refused(forge: EvidenceForge) -> None:
    short = to_base64(report_data(bound())[:32])
    evidence = forge.evidence(bound(), CLAIMS, body={"report_data": short})
    assert failed(look(evidence, forge.roots())) == ["binding"]


def test_debugging_on_is_refused(forge: EvidenceForge) -> None:
    claims = SimulatedClaims(runtime_digest=RUNTIME, job_digest=JOB, debug=True)
    assert failed(look(forge.evidence(bound(), claims), forge.roots())) == ["debug"]


def test_an_unknown_runtime_is_refused(forge: EvidenceForge) -> None:
    other = digest_bytes(b"another runtime")
    claims = SimulatedClaims(runtime_digest=other, job_digest=JOB, debug=False)
    assert failed(look(forge.evidence(bound(), claims), forge.roots())) == ["runtime"]


def test_no_reference_runtime_accepts_nothing(forge: EvidenceForge) -> None:
    result = look(forge.evidence(bound(), CLAIMS), forge.roots(), runtimes=())
    assert failed(result) == ["runtime"]


def test_a_result_without_checks_is_never_accepted() -> None:
    empty = AttestationResult(KIND, Tier.HARDWARE, None, ())
    assert not empty.accepted
    with pytest.raises(AppraisalRefusedError, match="nothing was checked"):
        empty.require()


@pytest.mark.parametrize("media_type", ["", "application/json", "application/eat+cwt"])
def test_an_unknown_media_type_is_refused_without_guessing(
    forge: EvidenceForge, media_type: str
) -> None:
    evidence = Evidence(media_type=media_type, payload=forge.evidence(bound(), CLAIMS).payload)
    with pytest.raises(AppraisalRefusedError, match=r"\[kind\]"):
        look(evidence, forge.roots())


def with_member_twice(payload: bytes) -> bytes:
    return payload.replace(b'{"authority_certificate"', b'{"signature":"","authority_certificate"')


@pytest.mark.parametrize(
    "change",
    [
        lambda payload: payload + b" ",
        lambda payload: payload + b"{}",
        lambda payload: payload + b"\0",
        lambda payload: payload[:-1],
        lambda payload: b"\xef\xbb\xbf" + payload,
        with_member_twice,
        lambda payload: payload.replace(b'"debug":false', b'"debug":false,"vmpl":0'),
        lambda payload: payload.replace(b'"debug":false', b'"debug":0'),
        lambda payload: payload.replace(b'"debug":false,', b""),
        lambda payload: payload.replace(b'"format_version":1', b'"format_version":2'),
        lambda payload: payload.replace(b"NOT A TEE", b"A TEE"),
        lambda payload: json.dumps(json.loads(payload), indent=1).encode(),
        lambda _payload: b"",
        lambda _payload: b"[" * 4000,
    ],
)
def test_payloads_in_any_other_form_are_malformed(
    forge: EvidenceForge, change: Callable[[bytes], bytes]
) -> None:
    payload = unbase64(forge.evidence(bound(), CLAIMS).payload)
    changed = change(payload)
    assert changed != payload
    with pytest.raises(ManateeError):
        look(as_evidence(changed), forge.roots())


def test_oversized_evidence_is_refused_before_it_is_parsed(forge: EvidenceForge) -> None:
    report = forge.report(bound(), CLAIMS)
    report["signature"] = "A" * (80 << 10)
    with pytest.raises(TooLargeError):
        look(as_evidence(canonical_json(report)), forge.roots())


def test_a_certificate_has_one_encoding(forge: EvidenceForge) -> None:
    # one unused bit declared in the signature's bit string: not covered by any signature
    for _ in range(64):
        forge = EvidenceForge.new(NOW)
        if forge.device.der()[-1] & 1 == 0:
            break
    report = forge.report(bound(), CLAIMS)
    der = forge.device.der()
    report["device_certificate"] = to_base64(der[:-65] + b"\x01" + der[-64:])
    with pytest.raises(MalformedError):
        look(as_evidence(canonical_json(report)), forge.roots())


@pytest.mark.parametrize("member", ["device_certificate", "authority_certificate"])
def test_damaged_certificates_never_pass_and_raise_only_our_errors(
    forge: EvidenceForge, member: str
) -> None:
    report = forge.report(bound(), CLAIMS)
    genuine = unbase64(report[member])
    for position in range(len(genuine)):
        for bit in (0x01, 0x80):
            damaged = bytearray(genuine)
            damaged[position] ^= bit
            report[member] = to_base64(bytes(damaged))
            try:
                result = look(as_evidence(canonical_json(report)), forge.roots())
            except ManateeError:
                continue
            assert "root" in failed(result), position


def test_a_device_is_made_once_and_its_keys_are_private(tmp_path: Path) -> None:
    first = SimulatedDevice.open(tmp_path / "tee", lambda: NOW)
    assert SimulatedDevice.open(tmp_path / "tee", lambda: NOW).root() == first.root()
    for path in (tmp_path / "tee").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name
    assert SimulatedDevice.open(tmp_path / "other", lambda: NOW).root() != first.root()


def test_guests_that_start_at_once_get_one_working_device(tmp_path: Path) -> None:
    for attempt in range(5):
        folder = tmp_path / str(attempt)
        found: list[SimulatedDevice] = []
        ready = threading.Barrier(6)

        def start(
            folder: Path = folder,
            found: list[SimulatedDevice] = found,
            ready: threading.Barrier = ready,
        ) -> None:
            ready.wait()
            found.append(SimulatedDevice.open(folder, lambda: NOW))

        threads = [threading.Thread(target=start) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 6
        root = SimulatedDevice.open(folder, lambda: NOW).root()
        for device in found:
            evidence = device.quote(report_data(bound()), CLAIMS)
            assert look(evidence, {KIND: (to_base64(root),)}).accepted


def test_a_device_whose_files_do_not_belong_together_is_refused(tmp_path: Path) -> None:
    SimulatedDevice.open(tmp_path / "a", lambda: NOW)
    SimulatedDevice.open(tmp_path / "b", lambda: NOW)
    for name in ("device.pem", "authority.pem"):
        genuine = (tmp_path / "a" / name).read_bytes()
        (tmp_path / "a" / name).write_bytes((tmp_path / "b" / name).read_bytes())
        with pytest.raises(AttestationError):
            SimulatedDevice.open(tmp_path / "a", lambda: NOW)
        (tmp_path / "a" / name).write_bytes(genuine)


def test_a_device_quotes_64_bytes_only(tmp_path: Path) -> None:
    device = SimulatedDevice.open(tmp_path, lambda: NOW)
    for size in (0, 63, 65):
        with pytest.raises(AttestationError):
            device.quote(bytes(size), CLAIMS)
