"""Appraisal of evidence: one interface, one private module per kind, no file or socket opened."""

from manatee.attestation._endorsements import (
    CERTIFICATE,
    NO_ENDORSEMENTS,
    REVOCATION,
    Endorsements,
)
from manatee.attestation._expected import ExpectedBinding
from manatee.attestation._interface import (
    AttestationResult,
    Check,
    Claims,
    Mark,
    Verifier,
    check,
)
from manatee.attestation._reference import GuestImage, ReferenceValues
from manatee.attestation._registry import appraise, register_verifier, verifier_of, verifiers
from manatee.attestation._simulated import SimulatedClaims, SimulatedDevice, SimulatedVerifier

__all__ = [
    "CERTIFICATE",
    "NO_ENDORSEMENTS",
    "REVOCATION",
    "AttestationResult",
    "Check",
    "Claims",
    "Endorsements",
    "ExpectedBinding",
    "GuestImage",
    "Mark",
    "ReferenceValues",
    "SimulatedClaims",
    "SimulatedDevice",
    "SimulatedVerifier",
    "Verifier",
    "appraise",
    "check",
    "register_verifier",
    "verifier_of",
    "verifiers",
]
