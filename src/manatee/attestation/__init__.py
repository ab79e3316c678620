"""Appraisal of evidence: one interface, one private module per kind, no file or socket opened."""

from manatee.attestation._endorsements import (
    CERTIFICATE,
    NO_ENDORSEMENTS,
    REVOCATION,
    Endorsements,
)
from manatee.attestation._expected import ExpectedBinding
from manatee.attestation._interface import (
    GPU_KINDS,
    AttestationResult,
    Check,
    Claims,
    Mark,
    Verifier,
    check,
    not_applicable,
)
from manatee.attestation._reference import GuestImage, ReferenceValues
from manatee.attestation._registry import (
    appraise,
    max_payload_bytes,
    register_verifier,
    verifier_of,
    verifiers,
)
from manatee.attestation._simulated import SimulatedClaims, SimulatedDevice, SimulatedVerifier
from manatee.attestation._tpm.certified import certified_by
from manatee.attestation._tpm.credential import make_credential
from manatee.attestation._tpm.payload import Event, PcrValue, TpmPayload
from manatee.attestation._tpm.public import TpmPublic
from manatee.attestation._tpm.public import parse_public as parse_tpm_public
from manatee.attestation._tpm.reference import TpmReference
from manatee.attestation._tpm.verifier import MEDIA_TYPE as TPM_MEDIA_TYPE

__all__ = [
    "CERTIFICATE",
    "GPU_KINDS",
    "NO_ENDORSEMENTS",
    "REVOCATION",
    "TPM_MEDIA_TYPE",
    "AttestationResult",
    "Check",
    "Claims",
    "Endorsements",
    "Event",
    "ExpectedBinding",
    "GuestImage",
    "Mark",
    "PcrValue",
    "ReferenceValues",
    "SimulatedClaims",
    "SimulatedDevice",
    "SimulatedVerifier",
    "TpmPayload",
    "TpmPublic",
    "TpmReference",
    "Verifier",
    "appraise",
    "certified_by",
    "check",
    "make_credential",
    "max_payload_bytes",
    "not_applicable",
    "parse_tpm_public",
    "register_verifier",
    "verifier_of",
    "verifiers",
]
