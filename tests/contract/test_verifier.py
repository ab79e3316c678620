"""The verifier contract: each sentence of `Verifier`'s docstrings, on every registered verifier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from manatee.attestation import (
    NO_ENDORSEMENTS,
    AttestationResult,
    Endorsements,
    ExpectedBinding,
    GuestImage,
    Mark,
    ReferenceValues,
    SimulatedClaims,
    Verifier,
    register_verifier,
)
from manatee.attestation._nitro.document import parse_document
from manatee.attestation._nitro.reference import NitroReference
from manatee.attestation._registry import _VERIFIERS
from manatee.attestation._snp.reference import SnpReference
from manatee.attestation._tokens.reference import ConfidentialSpaceReference
from manatee.errors import AttestationError, ManateeError
from manatee.records import Evidence, Tier, binding, digest_bytes, to_base64, unbase64
from manatee.testing import EvidenceForge

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RUNTIME = digest_bytes(b"runtime")
JOB = digest_bytes(b"job")


VECTORS = Path(__file__).parents[1] / "vectors"
UNIT = Path(__file__).parents[1] / "unit" / "attestation"


@dataclass(frozen=True)
class Sample:
    """Genuine evidence of one kind and what makes it acceptable.

    `unpinned` trusts no root of its kind; `dated` says whether the evidence has a time of its own.
    """

    evidence: Evidence
    reference_values: ReferenceValues
    unpinned: ReferenceValues
    expected: ExpectedBinding
    tier: Tier
    at: datetime
    dated: bool
    endorsements: Endorsements = NO_ENDORSEMENTS


def simulated() -> Sample:
    forge = EvidenceForge.new(NOW)
    bound = binding(
        purpose="result", audience="anyone", nonce=bytes(32), job_digest=JOB, session_key=bytes(32)
    )
    claims = SimulatedClaims(runtime_digest=RUNTIME, job_digest=JOB, debug=False)
    references = ReferenceValues(runtime_digests=(RUNTIME,), roots=forge.roots())
    return Sample(
        forge.evidence(bound, claims),
        references,
        ReferenceValues(runtime_digests=(RUNTIME,), roots={}),
        ExpectedBinding.of(bound),
        Tier.SIMULATED,
        NOW,
        dated=True,
    )


def recorded(
    kind: str,
    data: bytes,
    expected: bytes,
    at: datetime,
    measurements: dict[str, str],
    conditions: dict[str, Any],
    *,
    dated: bool,
    endorsements: Endorsements = NO_ENDORSEMENTS,
    without: dict[str, Any] | None = None,
) -> Sample:
    """Make a sample of a recorded vector; its conditions are the least that accept it."""
    media_type = next(item.media_type for item in _VERIFIERS.values() if item.kind == kind)
    image = GuestImage(kind=kind, measurements=measurements, runtime_digest=RUNTIME)
    plain: dict[str, Any] = {"runtime_digests": (RUNTIME,), "images": (image,), **conditions}
    return Sample(
        Evidence(media_type=media_type, payload=to_base64(data)),
        ReferenceValues(roots={}, **plain),
        ReferenceValues(**({"roots": {kind: ()}} | plain | (without or {}))),
        ExpectedBinding.exactly(expected),
        Tier.HARDWARE,
        at,
        dated=dated,
        endorsements=endorsements,
    )


def snp() -> Sample:
    data = (VECTORS / "snp/genoa-v5-report.bin").read_bytes()
    floor = {"bootloader": 10, "tee": 0, "snp": 27, "microcode": 27}
    leaf = (VECTORS / "snp/genoa-v5-vcek.der").read_bytes()
    return recorded(
        "amd-sev-snp",
        data,
        data[0x50:0x90],
        datetime(2026, 6, 1, tzinfo=UTC),
        {"measurement": data[0x90:0xC0].hex()},
        {"snp": SnpReference(minimum_tcb={"Genoa": floor})},
        dated=False,
        endorsements=Endorsements(certificates=(leaf,)),
    )


def nitro() -> Sample:
    data = (VECTORS / "nitro/doc-2022-11-09.cbor").read_bytes()
    document, _ = parse_document(data)
    return recorded(
        "aws-nitro",
        data,
        document.nonce,
        datetime(2022, 11, 9, 22, 52, 1, tzinfo=UTC),
        {f"pcr{index}": document.pcrs[index].hex() for index in (0, 1, 2)},
        {"nitro": NitroReference()},
        dated=True,
    )


def confidential_space() -> Sample:
    data = (VECTORS / "gcp-confidential-space/pki-tdx-production.jwt").read_bytes().strip()
    digest = "sha256:e2e5e3672f416ac9ca71aa639abf86db0b713729a48c125a925af6c808b20b5d"
    conditions = ConfidentialSpaceReference(audience="z08381475938604996746")
    return recorded(
        "gcp-confidential-space",
        data,
        b"75a91c8dbe289f190d5e70ab1cb70c93cc14d7243f0ef3ff5326a622ead220a6",
        datetime(2025, 9, 5, 8, 17, 40, tzinfo=UTC),
        {"image-digest": digest},
        {"confidential_space": conditions},
        dated=True,
    )


SAMPLES: dict[str, Callable[[], Sample]] = {
    "simulated": simulated,
    "amd-sev-snp": snp,
    "aws-nitro": nitro,
    "gcp-confidential-space": confidential_space,
}
OWN_SUITES = {
    "intel-tdx": "tdx",
    "arm-cca": "cca",
    "azure-maa": "tokens",
    "nvidia-nras": "tokens",
    "nvidia-gpu": "gpu",
    "tpm2": "tpm",
    "azure-cvm": "azure",
}
"""Kinds whose genuine evidence needs more to be accepted than fits a sample here: their own suites
state the same sentences, each on forged evidence."""


@pytest.mark.parametrize("found", sorted(_VERIFIERS.values(), key=lambda item: item.kind))
def test_every_kind_is_held_to_the_contract(found: Verifier) -> None:
    if found.kind not in SAMPLES:
        assert list((UNIT / OWN_SUITES[found.kind]).glob("test_*.py"))


@pytest.fixture(params=sorted(SAMPLES))
def verifier(request: pytest.FixtureRequest) -> Verifier:
    return next(item for item in _VERIFIERS.values() if item.kind == request.param)


@pytest.fixture
def sample(verifier: Verifier) -> Sample:
    return SAMPLES[verifier.kind]()


def look(
    verifier: Verifier,
    sample: Sample,
    *,
    evidence: Evidence | None = None,
    at: datetime | None = None,
    expected: ExpectedBinding | None = None,
    references: ReferenceValues | None = None,
    max_age_seconds: int | None = 120,
) -> AttestationResult:
    return verifier.appraise(
        evidence or sample.evidence,
        at=at or sample.at,
        expected_binding=expected or sample.expected,
        reference_values=references or sample.reference_values,
        endorsements=sample.endorsements,
        max_age_seconds=max_age_seconds,
    )


def test_genuine_evidence_passes_checks_of_different_names(
    verifier: Verifier, sample: Sample
) -> None:
    result = look(verifier, sample)
    assert result.accepted
    assert result.kind == verifier.kind
    assert result.tier is sample.tier
    assert result.require().job_digest in (None, JOB)
    assert result.require().runtime_digest == RUNTIME
    names = [item.name for item in result.checks]
    assert len(set(names)) == len(names) > 0
    assert all(item.reason and item.title for item in result.checks)


def test_appraisal_is_a_function_of_its_arguments(verifier: Verifier, sample: Sample) -> None:
    assert look(verifier, sample) == look(verifier, sample)


def test_another_binding_is_refused(verifier: Verifier, sample: Sample) -> None:
    other = ExpectedBinding.of(b"another session")
    assert not look(verifier, sample, expected=other).accepted


def test_an_empty_binding_cannot_even_be_expected() -> None:
    for raw in (b"", bytes(64)):
        with pytest.raises(AttestationError, match="binds nothing"):
            ExpectedBinding.exactly(raw)
    with pytest.raises(AttestationError, match="binds nothing"):
        ExpectedBinding.of(b"")


def test_time_is_the_argument_alone(verifier: Verifier, sample: Sample) -> None:
    if sample.dated:
        assert not look(verifier, sample, at=sample.at + timedelta(seconds=241)).accepted
        assert not look(verifier, sample, at=sample.at - timedelta(seconds=361)).accepted
    later = look(verifier, sample, at=sample.at + timedelta(seconds=241), max_age_seconds=None)
    assert later.accepted


def test_empty_reference_values_accept_nothing(verifier: Verifier, sample: Sample) -> None:
    without_runtimes = msgspec.structs.replace(sample.reference_values, runtime_digests=())
    for references in (
        ReferenceValues(runtime_digests=(), roots={}),
        ReferenceValues(runtime_digests=(RUNTIME,), roots={}),
        without_runtimes,
        sample.unpinned,
    ):
        assert not look(verifier, sample, references=references).accepted


def test_claims_are_withheld_unless_the_signature_chain_holds(
    verifier: Verifier, sample: Sample
) -> None:
    result = look(verifier, sample, references=sample.unpinned)
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
