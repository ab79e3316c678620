"""Appraisal of Google Confidential Space tokens: signed by a certificate chain, or by a key."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from manatee.attestation._endorsements import Endorsements
from manatee.attestation._expected import ExpectedBinding
from manatee.attestation._images import match_image
from manatee.attestation._interface import (
    AttestationResult,
    Check,
    Claims,
    check,
    first_refusal,
)
from manatee.attestation._reference import ReferenceValues
from manatee.attestation._tokens.chain import path_of
from manatee.attestation._tokens.jwt import (
    Token,
    member,
    read_times,
    read_token,
    signature_holds,
    single_audience,
    text_member,
    texts_member,
    times_hold,
)
from manatee.attestation._tokens.keys import find_key
from manatee.attestation._tokens.reference import ConfidentialSpaceReference
from manatee.records import Base64, Evidence, Tier, unbase64

KIND = "gcp-confidential-space"
MEDIA_TYPE = "application/vnd.manatee.gcp-confidential-space+jwt"
ALGORITHM = "RS256"
NONCE_LENGTHS = range(10, 75)
"""Characters a nonce may have (Google, "Confidential Space: connect to external resources")."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_TIERS = {
    "GCP_INTEL_TDX": Tier.HARDWARE,
    "GCP_AMD_SEV_SNP": Tier.HARDWARE,
    "GCP_AMD_SEV": Tier.HARDWARE_VTPM,
    "GCP_AMD_SEV_ES": Tier.HARDWARE_VTPM,
}
"""Plain SEV encrypts memory without protecting its integrity, and its host's vTPM attests it."""

NOTHING_ALLOWED = ConfidentialSpaceReference(audience="", support_attributes=(), hardware_models=())


class ConfidentialSpaceVerifier:
    """Appraises Confidential Space tokens; the tier follows Google's word for the hardware.

    Checked: chain or published key, signature, times, issuer, audience, that production
    Confidential Space ran on an accepted machine without a debugger, that nobody overrode the
    container's command or environment, service account, project, binding (in the one nonce) and
    the container image.
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
        token = read_token(
            unbase64(evidence.payload),
            algorithm=ALGORITHM,
            required=frozenset({"kid"}),
            optional=frozenset({"typ", "x5c"}),
        )
        claims = token.claims
        times = read_times(claims)
        conditions = reference_values.confidential_space
        allowed = conditions or NOTHING_ALLOWED
        # a chain is judged at the token's own time when age is not asked, as in an old bundle
        moment = times.issued if max_age_seconds is None else at
        key, no_key = first_refusal(
            lambda: _key(token, allowed, reference_values.roots.get(KIND), endorsements, moment)
        )
        signed = signature_holds(token, key, ALGORITHM)
        model = text_member(claims, "hwmodel")
        debug = claims.get("dbgstat") != "disabled-since-boot"
        supported = texts_member(claims, "submods", "confidential_space", "support_attributes")
        image_digest = text_member(claims, "submods", "container", "image_digest")
        measurements = {"image-digest": image_digest} if _DIGEST.fullmatch(image_digest) else {}
        runtime, image = match_image(
            KIND, measurements, reference_values, required=("image-digest",)
        )
        accounts = texts_member(claims, "google_service_accounts")
        project = text_member(claims, "submods", "gce", "project_id")
        checks: tuple[Check, ...] = (
            check(
                "allowed-kind",
                "Confidential Space is among what you accept",
                conditions is not None,
                good="the reference values have conditions for Confidential Space",
                bad="the reference values name no conditions for Confidential Space",
            ),
            check(
                "root",
                "Token's key is Google's",
                key is not None,
                good="the chain ends in a pinned root, or the key is one its issuer published",
                bad=no_key,
            ),
            check(
                "signature",
                "Token is signed by that key",
                signed,
                good="the signature over the token holds",
                bad="the signature over the token does not hold",
            ),
            check(
                "freshness",
                "Token is in force and fresh",
                times_hold(times, at, max_age_seconds),
                good=f"issued {times.issued:%Y-%m-%dT%H:%M:%SZ}",
                bad=f"issued {times.issued:%Y-%m-%dT%H:%M:%SZ}: too old, over, or in the future",
            ),
            check(
                "issuer",
                "Token is by the issuer you accept",
                bool(allowed.issuer) and claims.get("iss") == allowed.issuer,
                good=allowed.issuer,
                bad="the issuer is another",
            ),
            check(
                "audience",
                "Token is for you alone",
                single_audience(claims, allowed.audience),
                good=f"audience {allowed.audience}",
                bad="the audience is another, or there are several",
            ),
            check(
                "software",
                "Production Confidential Space ran",
                claims.get("swname") == "CONFIDENTIAL_SPACE"
                and claims.get("secboot") is True
                and bool(allowed.support_attributes)
                and set(allowed.support_attributes) <= set(supported),
                good=f"supported: {', '.join(supported)}",
                bad="other software, no secure boot, or not supported as you ask",
            ),
            check(
                "hardware",
                "Machine is of a model you accept",
                model in allowed.hardware_models,
                good=model,
                bad="the hardware model is not on your list",
            ),
            check(
                "debug",
                "Nobody can look in",
                not debug,
                good="debugging was off since boot",
                bad="debugging is on, or the token does not say",
            ),
            check(
                "overrides",
                "Container runs as its image says",
                _as_the_image_says(claims, allowed.environment_overrides),
                good="neither command nor environment was overridden, beyond what you accept",
                bad="whoever started the machine changed the command or the environment",
            ),
            check(
                "project",
                "Machine runs in a project you accept",
                allowed.project_ids is None or (bool(project) and project in allowed.project_ids),
                good="as your conditions say",
                bad="its project is not on your list",
            ),
            check(
                "service-account",
                "Workload runs as an account you accept",
                allowed.service_accounts is None
                or bool(set(allowed.service_accounts) & set(accounts)),
                good="as your conditions say",
                bad="none of its service accounts is on your list",
            ),
            check(
                "binding",
                "Evidence is bound to this session",
                expected_binding.in_text(_nonce(claims)),
                good="the nonce is the hash of purpose, audience, nonce, job and session key",
                bad="the nonce is not what this session expects, or there are several",
            ),
            image,
        )
        found = Claims(
            runtime_digest=runtime,
            debug=debug,
            issued_at=times.issued,
            measurements=measurements,
            tcb_status=text_member(claims, "tdx", "gcp_attester_tcb_status"),
            platform=model,
            details=claims,
        )
        tier = _TIERS.get(model, Tier.SOFTWARE_TPM)
        return AttestationResult(KIND, tier, found if signed else None, checks)


def _as_the_image_says(claims: dict[str, Any], names: tuple[str, ...]) -> bool:
    """Whether command and environment are the image's, but for environment variables named."""
    environment = member(claims, "submods", "container", "env_override")
    if environment is not None and not isinstance(environment, dict):
        return False
    return not member(claims, "submods", "container", "cmd_override") and (
        set(environment or ()) <= set(names)
    )


def _nonce(claims: dict[str, Any]) -> str:
    """Return the one nonce of a token; several, or one out of bounds, are none."""
    nonce = claims.get("eat_nonce")
    if isinstance(nonce, list) and len(nonce) == 1:
        nonce = nonce[0]
    return nonce if isinstance(nonce, str) and len(nonce) in NONCE_LENGTHS else ""


def _key(
    token: Token,
    allowed: ConfidentialSpaceReference,
    roots: tuple[Base64, ...] | None,
    endorsements: Endorsements,
    at: datetime,
) -> Any:
    if "x5c" not in token.header:
        return find_key(endorsements, allowed.issuer, text_member(token.header, "kid"))
    return path_of(token.header["x5c"], roots, at).leaf.public_key()
