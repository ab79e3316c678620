"""Appraisal of evidence: one interface, one private module per kind, no file or socket opened."""

from manatee.attestation._interface import (
    AttestationResult,
    Check,
    Claims,
    Mark,
    ReferenceValues,
    Verifier,
    check,
)
from manatee.attestation._registry import appraise, register_verifier
from manatee.attestation._simulated import SimulatedClaims, SimulatedDevice, SimulatedVerifier

__all__ = [
    "AttestationResult",
    "Check",
    "Claims",
    "Mark",
    "ReferenceValues",
    "SimulatedClaims",
    "SimulatedDevice",
    "SimulatedVerifier",
    "Verifier",
    "appraise",
    "check",
    "register_verifier",
]
