"""Appraisal of Arm CCA tokens.

Only emulated tokens were seen while this was written: no silicon's. Arm has no public root here, so
the relying party pins each platform's attestation key itself.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime

from manatee.attestation._cca.claims import HASHES
from manatee.attestation._cca.keys import pinned_key, realm_key
from manatee.attestation._cca.reference import CcaReference
from manatee.attestation._cca.token import CcaToken, parse_token
from manatee.attestation._cose import signature_holds
from manatee.attestation._endorsements import Endorsements
from manatee.attestation._expected import ExpectedBinding
from manatee.attestation._images import match_image
from manatee.attestation._interface import (
    AttestationResult,
    Check,
    Claims,
    check,
    not_applicable,
)
from manatee.attestation._reference import ReferenceValues
from manatee.records import Evidence, Tier, unbase64

KIND = "arm-cca"
MEDIA_TYPE = "application/vnd.manatee.arm-cca+cbor"
NOTHING_ALLOWED = CcaReference(platform_keys=(), implementation_ids=())


class CcaVerifier:
    """Appraises CCA tokens; tier HARDWARE, on the word of the platform keys that were pinned.

    Checked: platform signature under a pinned key, realm signature under the key whose hash the
    platform signed, lifecycle, platform, firmware, binding and image. The token is undated: the
    caller's nonce settles freshness.
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
        token = parse_token(unbase64(evidence.payload))
        allowed = reference_values.cca or NOTHING_ALLOWED
        platform = any(
            signature_holds(token.platform, pinned_key(unbase64(item)))
            for item in allowed.platform_keys
        )
        realm = signature_holds(token.realm, realm_key(token.realm_key))
        bound = _key_is_bound(token)
        measurements = _measurements(token)
        runtime, image = match_image(
            KIND, measurements, reference_values, required=("realm-initial",)
        )
        checks: tuple[Check, ...] = (
            check(
                "allowed-kind",
                "Arm CCA is among what you accept",
                reference_values.cca is not None,
                good="the reference values have conditions for CCA",
                bad="the reference values name no conditions for CCA",
            ),
            check(
                "root",
                "Platform is one whose key you pinned",
                platform,
                good="the platform token is signed by a pinned key",
                bad="the platform token is not signed by any key you pinned",
            ),
            check(
                "signature",
                "Realm token is signed by its own key",
                realm,
                good="the signature over the realm token holds",
                bad="the signature over the realm token does not hold",
            ),
            check(
                "realm-key",
                "Platform vouches for the realm's key",
                bound,
                good="the platform's challenge is the hash of the realm's key",
                bad="the platform's challenge is not the hash of the realm's key",
            ),
            check(
                "lifecycle",
                "Platform is in a secured state",
                token.secured,
                good=f"lifecycle {token.lifecycle:#06x}",
                bad=f"lifecycle {token.lifecycle:#06x} is not a secured one",
            ),
            check(
                "platform",
                "Platform is one you accept",
                token.implementation_id.hex() in allowed.implementation_ids,
                good=f"implementation {token.implementation_id.hex()[:16]}…",
                bad="the implementation is not on your list",
            ),
            _firmware_check(token, allowed.firmware),
            check(
                "binding",
                "Evidence is bound to this session",
                expected_binding.in_report_data(token.realm_challenge),
                good="the realm's challenge is the hash of purpose, audience, nonce, job and key",
                bad="the realm's challenge is not what this session expects",
            ),
            image,
        )
        claims = Claims(
            runtime_digest=runtime,
            debug=not token.secured,
            issued_at=None,
            measurements=measurements,
            platform=token.implementation_id.hex(),
            chip_id=token.instance_id.hex(),
            details=token,
        )
        believed = platform and realm and bound
        return AttestationResult(KIND, Tier.HARDWARE, claims if believed else None, checks)


def _key_is_bound(token: CcaToken) -> bool:
    """Whether the platform signed the hash of the realm's key: else any realm could be mixed in."""
    digest = hashlib.new(HASHES[token.realm_key_hash], token.realm_key).digest()
    return hmac.compare_digest(digest, token.platform_challenge)


def _firmware_check(token: CcaToken, listed: tuple[str, ...] | None) -> Check:
    title = "Platform's firmware is known"
    if listed is None:
        return not_applicable("firmware", title, "you list no measurements of firmware")
    return check(
        "firmware",
        title,
        all(item.measurement.hex() in listed for item in token.components),
        good="every software component's measurement is on your list",
        bad="a software component's measurement is not on your list",
    )


def _measurements(token: CcaToken) -> dict[str, str]:
    return {
        "realm-initial": token.initial_measurement.hex(),
        **{
            f"realm-extensible-{number}": value.hex()
            for number, value in enumerate(token.extensible_measurements)
        },
        "realm-personalization": token.personalization.hex(),
    }
