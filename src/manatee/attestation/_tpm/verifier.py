"""Appraisal of TPM 2.0 quotes: software TPMs, and virtual TPMs of clouds.

The tier is that of the authority which vouches for the attestation key: a quote alone says nothing
about isolation, and no TPM makes tier HARDWARE.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from manatee.attestation._certificates import build_path, read_certificate
from manatee.attestation._endorsements import Endorsements
from manatee.attestation._expected import ExpectedBinding
from manatee.attestation._images import match_image
from manatee.attestation._interface import AttestationResult, Check, Claims, check
from manatee.attestation._reference import ReferenceValues
from manatee.attestation._tpm.payload import (
    JOB_PCR,
    RUNTIME_PCR,
    TpmPayload,
    measured,
    pcr_digest,
    read_payload,
    replay,
)
from manatee.attestation._tpm.public import (
    PublicKey,
    TpmPublic,
    parse_public,
    quote_hash,
    signature_holds,
)
from manatee.attestation._tpm.quote import RESETTABLE_PCRS, parse_attest, selected
from manatee.attestation._tpm.reference import TpmReference
from manatee.errors import AppraisalRefusedError
from manatee.records import Base64, Digest, Evidence, Tier, unbase64

KIND = "tpm2"
MEDIA_TYPE = "application/vnd.manatee.tpm2-quote+json"
SOFTWARE_ROOTS = "software-tpm"
"""Name under which reference values pin authorities of software TPMs."""

VTPM_ROOTS = "vtpm"
"""Name under which reference values pin authorities of clouds' virtual TPMs."""

_TIERS = {SOFTWARE_ROOTS: Tier.SOFTWARE_TPM, VTPM_ROOTS: Tier.HARDWARE_VTPM}
NOTHING_ALLOWED = TpmReference(pcrs=(), activated_names=())


class TpmVerifier:
    """Appraises TPM quotes.

    Checked: the quote's signature, the attestation key's attributes and who vouches for it, the
    exact register selection, their digest and the events behind them, binding, and what was
    measured. The quote is undated: the caller's nonce settles freshness. Whoever keeps the last
    quote of a TPM should also ask `check_not_before`.
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
        payload = read_payload(unbase64(evidence.payload))
        message, signature = unbase64(payload.attest), unbase64(payload.signature)
        quote = parse_attest(message)
        key = parse_public(unbase64(payload.ak_public))
        reference = reference_values.tpm
        allowed = reference or NOTHING_ALLOWED
        signed = signature_holds(key.key, message, signature)
        tier, vouched = _vouched(key, endorsements, reference_values.roots, allowed, at)
        registers = {item.pcr: bytes.fromhex(item.value) for item in payload.pcrs}
        digest_holds = pcr_digest(payload.pcrs, quote_hash(signature)) == quote.pcr_digest
        checks: list[Check] = [
            check(
                "allowed-kind",
                "TPM quotes are among what you accept",
                reference is not None,
                good="the reference values have conditions for TPMs",
                bad="the reference values name no conditions for TPMs",
            ),
            check(
                "signature",
                "Quote is signed by its attestation key",
                signed,
                good="the signature over the quote holds",
                bad="the signature over the quote does not hold",
            ),
            check(
                "ak-attributes",
                "Key signs only what its TPM made",
                key.is_attestation_key,
                good="restricted, fixed to its TPM, made by it, and for signing alone",
                bad="not restricted, not fixed to its TPM, not made by it, or also decrypts",
            ),
            vouched,
            check(
                "binding",
                "Evidence is bound to this session",
                expected_binding.in_nonce(quote.extra_data),
                good="the quote's extra data is the hash of purpose, audience, nonce, job and key",
                bad="the quote's extra data is not what this session expects, or is empty",
            ),
            check(
                "pcr-selection",
                "Quote covers exactly the agreed registers",
                selected(quote, allowed.pcrs)
                and tuple(registers) == tuple(sorted(allowed.pcrs))
                and not RESETTABLE_PCRS & set(allowed.pcrs),
                good=f"registers {', '.join(map(str, registers))} of the SHA-256 bank",
                bad="fewer, more, other or resettable registers, or another bank",
            ),
            check(
                "pcr-digest",
                "Register values are the quoted ones",
                digest_holds,
                good="their digest is in the quote",
                bad="their digest is not the one in the quote",
            ),
        ]
        runtime, job = self._measured(payload, registers, reference_values, checks)
        believed = signed and digest_holds and tier is not None and key.is_attestation_key
        claims = Claims(
            runtime_digest=runtime,
            job_digest=job,
            debug=False,
            issued_at=None,
            measurements=_measurements(registers),
            tcb={"firmware": quote.firmware_version},
            platform=f"TPM {key.name.hex()[:16]}",
            details=quote,
        )
        return AttestationResult(
            KIND, tier or Tier.SOFTWARE_TPM, claims if believed else None, tuple(checks)
        )

    @staticmethod
    def _measured(
        payload: TpmPayload,
        registers: Mapping[int, bytes],
        reference_values: ReferenceValues,
        checks: list[Check],
    ) -> tuple[Digest | None, Digest | None]:
        """Add the checks of what was measured; return runtime and job."""
        if not payload.events:
            # without events the registers themselves must be those of a known image
            names = tuple(f"pcr{index}" for index in registers)
            runtime, image = match_image(
                KIND, _measurements(registers), reference_values, required=names
            )
            checks.append(image)
            return runtime, None
        replayed = replay(payload.events)
        expected = {index: replayed.get(index, bytes(32)) for index in registers}
        checks.append(
            check(
                "events",
                "Measured events lead to the quoted registers",
                expected == dict(registers) and set(replayed) <= set(registers),
                good=f"{len(payload.events)} event(s), replayed from zero",
                bad="the events do not lead to the quoted registers",
            )
        )
        runtime = measured(payload.events, "runtime", RUNTIME_PCR)
        job = measured(payload.events, "job", JOB_PCR)
        checks.append(
            check(
                "runtime",
                "Runtime is a known one",
                runtime is not None and runtime in reference_values.runtime_digests,
                good=f"measured {runtime}",
                bad="no single runtime was measured, or it is not among the reference values",
            )
        )
        checks.append(
            check(
                "job",
                "One job was measured",
                job is not None,
                good=f"measured {job}",
                bad="no single job was measured before the guest started",
            )
        )
        return runtime, job


def _measurements(registers: Mapping[int, bytes]) -> dict[str, str]:
    return {f"pcr{index}": value.hex() for index, value in registers.items()}


def same_key(certificate: x509.Certificate, key: PublicKey) -> bool:
    """Whether a certificate is for this very key."""
    own = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return own == key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _vouched(
    key: TpmPublic,
    endorsements: Endorsements,
    roots: Mapping[str, tuple[Base64, ...]],
    allowed: TpmReference,
    at: datetime,
) -> tuple[Tier | None, Check]:
    """Find who says that the attestation key lives in a TPM, and so the tier.

    An authority's certificate over the key counts (its issuer had the TPM activate a credential),
    or a name that this relying party itself activated.
    """
    title = "Key belongs to a TPM that somebody you trust vouches for"
    reason = "no certificate for the attestation key came with the quote"
    if key.name.hex() in allowed.activated_names:
        return Tier.SOFTWARE_TPM, check(
            "root", title, True, good="you activated a credential for this key yourself", bad=""
        )
    certificates = [read_certificate(data) for data in endorsements.certificates]
    own = next((item for item in certificates if same_key(item, key.key)), None)
    others = [item for item in certificates if item is not own]
    for name, tier in _TIERS.items():
        pinned = tuple(unbase64(text) for text in roots.get(name, ()))
        if own is None or not pinned:
            continue
        try:
            build_path(own, _above(own, others), pinned, at=at)
        except AppraisalRefusedError as error:
            reason = error.message
        else:
            return tier, check(
                "root", title, True, good=f"certified by an authority pinned as {name}", bad=""
            )
    return None, check("root", title, False, good="", bad=reason)


def _above(leaf: x509.Certificate, others: list[x509.Certificate]) -> list[x509.Certificate]:
    """Return the certificates that lie above the leaf, by name, in order."""
    found: list[x509.Certificate] = []
    issuer = leaf.issuer
    while len(found) < len(others):
        upper = next(
            (item for item in others if item.subject == issuer and item not in found), None
        )
        if upper is None:
            break
        found.append(upper)
        if upper.issuer == upper.subject:
            break
        issuer = upper.issuer
    return found
