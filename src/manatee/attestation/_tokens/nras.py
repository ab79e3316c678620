"""Appraisal of tokens of NVIDIA's Remote Attestation Service: a detached EAT of GPUs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from manatee.attestation._endorsements import Endorsements
from manatee.attestation._expected import ExpectedBinding
from manatee.attestation._interface import (
    AttestationResult,
    Check,
    Claims,
    check,
    first_refusal,
)
from manatee.attestation._reference import ReferenceValues
from manatee.attestation._tokens.detached import ALGORITHM, digests_hold, read_detached
from manatee.attestation._tokens.jwt import (
    Token,
    need,
    read_times,
    signature_holds,
    text_member,
    times_hold,
)
from manatee.attestation._tokens.keys import find_key
from manatee.attestation._tokens.reference import NrasReference
from manatee.records import Evidence, Tier, unbase64

KIND = "nvidia-nras"
MEDIA_TYPE = "application/vnd.manatee.nvidia-nras+json"
NOTHING_ALLOWED = NrasReference(issuers=(), hardware_models=())
_SUCCESS = (
    "x-nvidia-gpu-attestation-report-parsed",
    "x-nvidia-gpu-attestation-report-signature-verified",
    "x-nvidia-gpu-attestation-report-nonce-match",
    "x-nvidia-gpu-attestation-report-cert-chain-fwid-match",
    "x-nvidia-gpu-arch-check",
    "x-nvidia-gpu-driver-rim-signature-verified",
    "x-nvidia-gpu-driver-rim-version-match",
    "x-nvidia-gpu-driver-rim-measurements-available",
    "x-nvidia-gpu-vbios-rim-signature-verified",
    "x-nvidia-gpu-vbios-rim-version-match",
    "x-nvidia-gpu-vbios-rim-measurements-available",
    "x-nvidia-gpu-vbios-index-no-conflict",
)
"""Claims that must all be true of every GPU."""

_CHAINS = (
    "x-nvidia-gpu-attestation-report-cert-chain",
    "x-nvidia-gpu-driver-rim-cert-chain",
    "x-nvidia-gpu-vbios-rim-cert-chain",
)


class NrasVerifier:
    """Appraises NRAS tokens. They say that GPUs are genuine, never what machine holds them.

    The result carries no runtime: whoever releases on it needs evidence of the machine that is
    bound to the same session, and the tier that counts is that machine's.
    """

    kind = KIND
    media_type = MEDIA_TYPE

    def appraise(
        self,
        evidence: Evidence,
        *,
        at: datetime,
        expected_binding: ExpectedBinding,
        reference_values: ReferenceValues,
        endorsements: Endorsements,
        max_age_seconds: int | None,
    ) -> AttestationResult:
        """See `Verifier.appraise`."""
        overall, gpus = read_detached(unbase64(evidence.payload))
        allowed = reference_values.nras or NOTHING_ALLOWED
        times = [read_times(token.claims) for token in (overall, *gpus.values())]
        key, no_key = first_refusal(lambda: _key(overall, allowed, endorsements))
        signed = all(
            token.header.get("kid") == overall.header.get("kid")
            and signature_holds(token, key, ALGORITHM)
            for token in (overall, *gpus.values())
        )
        models = sorted(text_member(token.claims, "hwmodel") for token in gpus.values())
        devices = [text_member(token.claims, "ueid") for token in gpus.values()]
        debug = any(token.claims.get("dbgstat") != "disabled" for token in gpus.values())
        checks: tuple[Check, ...] = (
            check(
                "allowed-kind",
                "NVIDIA's attestation service is among what you accept",
                reference_values.nras is not None,
                good="the reference values have conditions for it",
                bad="the reference values name no conditions for it",
            ),
            check(
                "root",
                "Tokens' key is one their issuer published",
                key is not None,
                good=text_member(overall.claims, "iss"),
                bad=no_key,
            ),
            check(
                "signature",
                "Every token is signed by that key",
                signed,
                good=f"{1 + len(gpus)} signatures hold",
                bad="a signature does not hold, or the tokens have different keys",
            ),
            check(
                "freshness",
                "Tokens are in force and fresh",
                all(times_hold(item, at, max_age_seconds) for item in times),
                good=f"issued {times[0].issued:%Y-%m-%dT%H:%M:%SZ}",
                bad="a token is too old, over, or from the future",
            ),
            check(
                "issuer",
                "Every token is by the same issuer",
                all(
                    token.claims.get("iss") == overall.claims.get("iss") for token in gpus.values()
                ),
                good="one issuer",
                bad="a GPU's token is by another issuer",
            ),
            check(
                "submodules",
                "GPU tokens are the ones the overall token names",
                digests_hold(overall, gpus),
                good=f"{len(gpus)} GPU(s), by digest",
                bad="a GPU token is missing, added, swapped, or named by another digest",
            ),
            check(
                "result",
                "NVIDIA found everything in order",
                overall.claims.get("x-nvidia-overall-att-result") is True
                and all(_in_order(token.claims) for token in gpus.values()),
                good="overall and for each GPU",
                bad="the overall result is not true, or one of a GPU's checks failed",
            ),
            check(
                "hardware",
                "GPUs are of models you accept",
                all(
                    any(
                        model == item or model.startswith(f"{item} ")
                        for item in allowed.hardware_models
                    )
                    for model in models
                ),
                good=", ".join(models),
                bad="a GPU's model is not on your list",
            ),
            check(
                "devices",
                "Every token is another GPU's",
                all(devices) and len(set(devices)) == len(devices),
                good=f"{len(devices)} GPU(s)",
                bad="a GPU stands twice, or a token does not say which it is of",
            ),
            check(
                "debug",
                "No GPU is debuggable",
                not debug,
                good="debugging is off",
                bad="debugging is on, or a token does not say",
            ),
            check(
                "binding",
                "Evidence is bound to this session",
                all(
                    _nonce_holds(token.claims, expected_binding)
                    for token in (overall, *gpus.values())
                ),
                good="every nonce is the hash of purpose, audience, nonce, job and session key",
                bad="a nonce is not what this session expects",
            ),
        )
        found = Claims(
            debug=debug,
            issued_at=times[0].issued,
            measurements={},
            platform=", ".join(models),
            details={name: token.claims for name, token in gpus.items()},
        )
        return AttestationResult(KIND, Tier.HARDWARE, found if signed else None, checks)


def _key(overall: Token, allowed: NrasReference, endorsements: Endorsements) -> Any:
    issuer = text_member(overall.claims, "iss")
    need(bool(issuer) and issuer in allowed.issuers, "the tokens' issuer is not one you accept.")
    return find_key(endorsements, issuer, text_member(overall.header, "kid"))


def _in_order(claims: dict[str, Any]) -> bool:
    chains = all(
        text_member(claims, name, "x-nvidia-cert-status") == "valid"
        and text_member(claims, name, "x-nvidia-cert-ocsp-status") == "good"
        for name in _CHAINS
    )
    return (
        claims.get("measres") == "success"
        and claims.get("secboot") is True
        and all(claims.get(name) is True for name in _SUCCESS)
        and chains
    )


def _nonce_holds(claims: dict[str, Any], expected: ExpectedBinding) -> bool:
    try:
        nonce = bytes.fromhex(text_member(claims, "eat_nonce"))
    except ValueError:
        return False
    return expected.in_nonce(nonce)
