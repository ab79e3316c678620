"""Appraisal of TPM 2.0 quotes: software TPMs, and virtual TPMs of clouds.

The tier is that of the authority which vouches for the attestation key: a quote alone says nothing
about isolation, and no TPM makes tier HARDWARE.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

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
from manatee.attestation._tpm.public import parse_public, parse_signature
from manatee.attestation._tpm.quote import RESETTABLE_PCRS, parse_attest, selected
from manatee.attestation._tpm.reference import TpmReference
from manatee.attestation._tpm.vouching import names_its_key, vouched
from manatee.records import Digest, Evidence, Tier, unbase64

KIND = "tpm2"
MEDIA_TYPE = "application/vnd.manatee.tpm2-quote+json"
NOTHING_ALLOWED = TpmReference(pcrs=(), activated_names=())


class TpmVerifier:
    """Appraises TPM quotes.

    Checked: the quote's signature, the attestation key's attributes, name and who vouches for it,
    the exact register selection, their digest and the events behind them, binding, and what was
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
        message = unbase64(payload.attest)
        quote = parse_attest(message)
        key = parse_public(unbase64(payload.ak_public))
        endorsement = parse_public(unbase64(payload.ek_public)) if payload.ek_public else None
        signature = parse_signature(unbase64(payload.signature))
        reference = reference_values.tpm
        allowed = reference or NOTHING_ALLOWED
        signed = key.scheme == signature.scheme and signature.holds(key.key, message)
        voucher = vouched(
            key,
            endorsement,
            quote.qualified_signer,
            endorsements=endorsements,
            roots=reference_values.roots,
            reference=allowed,
            at=at,
        )
        registers = {item.pcr: bytes.fromhex(item.value) for item in payload.pcrs}
        digest_holds = pcr_digest(payload.pcrs, signature.hash_name) == quote.pcr_digest
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
            check(
                "qualified-signer",
                "Quote names the key and these attributes",
                names_its_key(quote.qualified_signer, key, endorsement),
                good="the quote's qualified signer is this key's name below its parent's",
                bad="the quote's qualified signer is another key, or this one otherwise made",
            ),
            check(
                "root",
                "Key belongs to a TPM that somebody you trust vouches for",
                voucher.tier is not None,
                good=voucher.reason,
                bad=voucher.reason,
            ),
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
                and not RESETTABLE_PCRS.issuperset(allowed.pcrs),
                good=f"registers {', '.join(map(str, registers))} of the SHA-256 bank",
                bad="fewer, more or other registers, resettable ones alone, or another bank",
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
        believed = signed and digest_holds and voucher.tier is not None and key.is_attestation_key
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
            KIND, voucher.tier or Tier.SOFTWARE_TPM, claims if believed else None, tuple(checks)
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
            found = _measurements(registers)
            runtime, image = match_image(KIND, found, reference_values, required=tuple(found))
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
    """Return what registers say: those that software can set back say nothing."""
    return {
        f"pcr{index}": value.hex()
        for index, value in registers.items()
        if index not in RESETTABLE_PCRS
    }
