"""Which verifier appraises which media type. Outsiders register theirs without patching ours."""

from datetime import datetime

from manatee.attestation._interface import AttestationResult, ReferenceValues, Verifier
from manatee.attestation._simulated import SimulatedVerifier
from manatee.errors import AppraisalRefusedError, AttestationError
from manatee.records import Evidence

_VERIFIERS: dict[str, Verifier] = {}


def register_verifier(verifier: Verifier) -> None:
    """Add a verifier for its media type.

    Raises:
        AttestationError: The media type is taken.
    """
    if verifier.media_type in _VERIFIERS:
        raise AttestationError(f"a verifier for {verifier.media_type} is registered already.")
    _VERIFIERS[verifier.media_type] = verifier


register_verifier(SimulatedVerifier())


def appraise(
    evidence: Evidence,
    *,
    at: datetime,
    expected_binding: bytes,
    reference_values: ReferenceValues,
    max_age_seconds: int | None,
) -> AttestationResult:
    """Appraise evidence of any registered kind; see `Verifier.appraise`.

    Raises:
        AppraisalRefusedError: No verifier knows the media type. There is no guessing.
        MalformedError: The bytes are not evidence of that kind.
    """
    verifier = _VERIFIERS.get(evidence.media_type)
    if verifier is None:
        raise AppraisalRefusedError("[kind] no verifier is registered for this evidence.")
    return verifier.appraise(
        evidence,
        at=at,
        expected_binding=expected_binding,
        reference_values=reference_values,
        max_age_seconds=max_age_seconds,
    )
