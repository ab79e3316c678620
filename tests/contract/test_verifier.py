"""The verifier contract: each sentence of `Verifier`'s docstrings, on every registered verifier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from manatee.attestation import (
    NO_ENDORSEMENTS,
    AttestationResult,
    ExpectedBinding,
    Mark,
    ReferenceValues,
    SimulatedClaims,
    SimulatedVerifier,
    Verifier,
    register_verifier,
)
from manatee.attestation._registry import _VERIFIERS
from manatee.errors import AttestationError, ManateeError
from manatee.records import Evidence, Tier, binding, digest_bytes, to_base64, unbase64
from manatee.testing import EvidenceForge

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RUNTIME = digest_bytes(b"runtime")
JOB = digest_bytes(b"job")


@dataclass(frozen=True)
class Sample:
    """Genuine evidence of one kind and what makes it acceptable."""

    evidence: Evidence
    reference_values: ReferenceValues
    binding: bytes
    tier: Tier


def simulated() -> Sample:
    forge = EvidenceForge.new(NOW)
    bound = binding(
        purpose="result", audience="anyone", nonce=bytes(32), job_digest=JOB, session_key=bytes(32)
    )
    claims = SimulatedClaims(runtime_digest=RUNTIME, job_digest=JOB, debug=False)
    references = ReferenceValues(runtime_digests=(RUNTIME,), roots=forge.roots())
    return Sample(forge.evidence(bound, claims), references, bound, Tier.SIMULATED)


SAMPLES: dict[str, Callable[[], Sample]] = {SimulatedVerifier.media_type: simulated}


@pytest.fixture(params=sorted(_VERIFIERS))
def verifier(request: pytest.FixtureRequest) -> Verifier:
    found: Verifier = _VERIFIERS[request.param]
    return found


@pytest.fixture
def sample(verifier: Verifier) -> Sample:
    return SAMPLES[verifier.media_type]()


def look(
    verifier: Verifier,
    sample: Sample,
    *,
    evidence: Evidence | None = None,
    at: datetime = NOW,
    bound: bytes | None = None,
    references: ReferenceValues | None = None,
    max_age_seconds: int | None = 120,
) -> AttestationResult:
    return verifier.appraise(
        evidence or sample.evidence,
        at=at,
        expected_binding=ExpectedBinding.of(sample.binding if bound is None else bound),
        reference_values=references or sample.reference_values,
        endorsements=NO_ENDORSEMENTS,
        max_age_seconds=max_age_seconds,
    )


def test_genuine_evidence_passes_checks_of_different_names(
    verifier: Verifier, sample: Sample
) -> None:
    result = look(verifier, sample)
    assert result.accepted
    assert result.kind == verifier.kind
    assert result.tier is sample.tier
    assert result.require().job_digest == JOB
    assert result.require().runtime_digest == RUNTIME
    names = [item.name for item in result.checks]
    assert len(set(names)) == len(names) > 0
    assert all(item.reason and item.title for item in result.checks)


def test_appraisal_is_a_function_of_its_arguments(verifier: Verifier, sample: Sample) -> None:
    assert look(verifier, sample) == look(verifier, sample)


def test_another_binding_is_refused(verifier: Verifier, sample: Sample) -> None:
    assert not look(verifier, sample, bound=b"another session").accepted


def test_an_empty_binding_cannot_even_be_expected() -> None:
    for raw in (b"", bytes(64)):
        with pytest.raises(AttestationError, match="binds nothing"):
            ExpectedBinding.exactly(raw)
    with pytest.raises(AttestationError, match="binds nothing"):
        ExpectedBinding.of(b"")


def test_time_is_the_argument_alone(verifier: Verifier, sample: Sample) -> None:
    assert not look(verifier, sample, at=NOW + timedelta(seconds=121)).accepted
    assert not look(verifier, sample, at=NOW - timedelta(seconds=61)).accepted
    later = look(verifier, sample, at=NOW + timedelta(seconds=121), max_age_seconds=None)
    assert later.accepted


def test_empty_reference_values_accept_nothing(verifier: Verifier, sample: Sample) -> None:
    runtimes, roots = sample.reference_values.runtime_digests, sample.reference_values.roots
    for references in (
        ReferenceValues(runtime_digests=(), roots={}),
        ReferenceValues(runtime_digests=runtimes, roots={}),
        ReferenceValues(runtime_digests=(), roots=roots),
    ):
        assert not look(verifier, sample, references=references).accepted


def test_claims_are_withheld_unless_the_signature_chain_holds(
    verifier: Verifier, sample: Sample
) -> None:
    nothing_pinned = ReferenceValues(runtime_digests=(RUNTIME,), roots={})
    result = look(verifier, sample, references=nothing_pinned)
    assert result.claims is None
    assert any(item.mark is Mark.FAILED for item in result.checks)


def test_no_damaged_byte_is_accepted_and_only_our_errors_leave(
    verifier: Verifier, sample: Sample
) -> None:
    genuine = unbase64(sample.evidence.payload)
    for position in range(0, len(genuine), 7):
        damaged = bytearray(genuine)
        damaged[position] ^= 1 << position % 8
        evidence = Evidence(media_type=verifier.media_type, payload=to_base64(bytes(damaged)))
        try:
            result = look(verifier, sample, evidence=evidence)
        except ManateeError:
            continue
        assert not result.accepted, position


@pytest.mark.parametrize("payload", [b"", b"{}", b"\0" * 100, b"\xff" * 100, b"[" * 60_000])
def test_bytes_of_no_kind_raise_our_errors(
    verifier: Verifier, sample: Sample, payload: bytes
) -> None:
    evidence = Evidence(media_type=verifier.media_type, payload=to_base64(payload))
    with pytest.raises(ManateeError):
        look(verifier, sample, evidence=evidence)


def test_only_real_hardware_may_call_itself_hardware(verifier: Verifier, sample: Sample) -> None:
    if verifier.kind == "simulated":
        assert look(verifier, sample).tier is Tier.SIMULATED
        assert "not-a-tee" in verifier.media_type


def test_nobody_can_replace_a_registered_verifier(verifier: Verifier) -> None:
    with pytest.raises(AttestationError, match="registered already"):
        register_verifier(verifier)
