"""Which verifier appraises which media type. Outsiders register theirs without patching ours."""

from datetime import datetime

from manatee.attestation._azure.verifier import AzureCvmVerifier
from manatee.attestation._cca.verifier import CcaVerifier
from manatee.attestation._endorsements import NO_ENDORSEMENTS, Endorsements, endorsements_of
from manatee.attestation._expected import ExpectedBinding
from manatee.attestation._gpu.verifier import GpuVerifier
from manatee.attestation._interface import AttestationResult, Verifier
from manatee.attestation._nitro.verifier import NitroVerifier
from manatee.attestation._reference import ReferenceValues
from manatee.attestation._simulated import SimulatedVerifier
from manatee.attestation._snp.verifier import SnpVerifier
from manatee.attestation._tdx.verifier import TdxVerifier
from manatee.attestation._tokens.confidential_space import ConfidentialSpaceVerifier
from manatee.attestation._tokens.maa import MaaVerifier
from manatee.attestation._tokens.nras import NrasVerifier
from manatee.attestation._tpm.verifier import TpmVerifier
from manatee.errors import AppraisalRefusedError, AttestationError
from manatee.records import MAX_EVIDENCE_BYTES, Evidence

_VERIFIERS: dict[str, Verifier] = {}


def register_verifier(verifier: Verifier) -> None:
    """Add a verifier for its media type.

    Raises:
        AttestationError: The media type or the kind is taken.
    """
    for known in _VERIFIERS.values():
        if verifier.media_type == known.media_type or verifier.kind == known.kind:
            raise AttestationError(f"a verifier for {verifier.media_type} is registered already.")
    _VERIFIERS[verifier.media_type] = verifier


register_verifier(SimulatedVerifier())
register_verifier(SnpVerifier())
register_verifier(TdxVerifier())
register_verifier(TpmVerifier())
register_verifier(NrasVerifier())
register_verifier(MaaVerifier())
register_verifier(ConfidentialSpaceVerifier())
register_verifier(CcaVerifier())
register_verifier(NitroVerifier())
register_verifier(AzureCvmVerifier())
register_verifier(GpuVerifier())


def verifiers() -> tuple[Verifier, ...]:
    """Return every registered verifier, in order of registration."""
    return tuple(_VERIFIERS.values())


def verifier_of(evidence: Evidence) -> Verifier:
    """Return the verifier of evidence, by its media type alone.

    Raises:
        AppraisalRefusedError: No verifier knows the media type. There is no guessing.
    """
    verifier = _VERIFIERS.get(evidence.media_type)
    if verifier is None:
        raise AppraisalRefusedError("[kind] no verifier is registered for this evidence.")
    return verifier


def max_payload_bytes(media_type: str) -> int:
    """Return how large evidence of a media type may be: what its verifier says, or 64 KiB."""
    verifier = _VERIFIERS.get(media_type)
    return int(getattr(verifier, "max_payload_bytes", MAX_EVIDENCE_BYTES))


def appraise(
    evidence: Evidence,
    *,
    at: datetime,
    expected_binding: ExpectedBinding,
    reference_values: ReferenceValues,
    max_age_seconds: int | None,
    endorsements: Endorsements = NO_ENDORSEMENTS,
) -> AttestationResult:
    """Appraise evidence of any registered kind; see `Verifier.appraise`.

    Endorsements that came with the evidence are joined to the relying party's, which go first.

    Raises:
        AppraisalRefusedError: No verifier knows the media type.
        MalformedError: The bytes are not evidence of that kind.
        AppraisalUnavailableError: Collateral that the appraisal needs is missing.
    """
    return verifier_of(evidence).appraise(
        evidence,
        at=at,
        expected_binding=expected_binding,
        reference_values=reference_values,
        endorsements=endorsements.joined(endorsements_of(evidence.endorsements)),
        max_age_seconds=max_age_seconds,
    )
