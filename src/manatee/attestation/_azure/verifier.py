"""Appraisal of Azure confidential VMs: a virtual TPM kept by a paravisor, over SEV-SNP or TDX.

Four layers, each checked: the hardware's report; the runtime data whose hash it holds; the TPM's
attestation key named there; the quote by that key, whose extra data is the binding. The paravisor
speaks for the key, so its measurement must be known.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from manatee.attestation._azure.hardware import HardwareAppraisal, appraise_hardware
from manatee.attestation._azure.hcl import HclReport, parse_hcl_report
from manatee.attestation._azure.payload import PCRS, AzurePayload, read_payload
from manatee.attestation._azure.reference import AzureCvmReference
from manatee.attestation._azure.runtime_data import RuntimeData, read_runtime_data
from manatee.attestation._endorsements import Endorsements
from manatee.attestation._expected import ExpectedBinding
from manatee.attestation._images import match_image
from manatee.attestation._interface import AttestationResult, Check, Mark, check
from manatee.attestation._reference import ReferenceValues
from manatee.attestation._tpm.quote import RESETTABLE_PCRS, QuoteInfo, parse_attest, selected
from manatee.records import Evidence, Tier, unbase64

KIND = "azure-cvm"
MEDIA_TYPE = "application/vnd.manatee.azure-cvm+json"

NOTHING_ALLOWED = AzureCvmReference(required_pcrs=(), require_secure_boot=True)


@dataclass(frozen=True)
class AzureClaims:
    """The parts of the evidence, for people and tools."""

    hardware: str
    runtime_data: RuntimeData
    quote: QuoteInfo


class AzureCvmVerifier:
    """Appraises Azure confidential VMs; tier HARDWARE where all of the hardware's checks pass.

    The evidence is undated: the caller's nonce, in the TPM quote, settles freshness. The paravisor
    asks the hardware for its report once, as the machine starts.
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
        hcl = parse_hcl_report(payload.hcl_report)
        payload.check_hardware(hcl.hardware)
        runtime_data = read_runtime_data(hcl.runtime_data)
        quote = parse_attest(payload.message)
        hardware = appraise_hardware(
            hcl,
            payload,
            at=at,
            reference_values=reference_values,
            roots=reference_values.roots.get(KIND),
            endorsements=endorsements,
        )
        reference = reference_values.azure_cvm
        allowed = reference or NOTHING_ALLOWED
        quoted = _quoted(payload, runtime_data, quote, allowed, expected_binding)
        bound = _bound(hcl, hardware)
        measurements = {
            **hardware.claims.measurements,
            **{f"pcr{index}": value.hex() for index, value in enumerate(payload.pcrs)},
        }
        runtime, image = match_image(
            KIND,
            measurements,
            reference_values,
            required=(hardware.measurement, *(f"pcr{index}" for index in allowed.required_pcrs)),
        )
        checks = (
            check(
                "allowed-kind",
                "Azure confidential VMs over this hardware are among what you accept",
                reference is not None and hardware.allowed,
                good="the reference values have conditions for both",
                bad=f"the reference values lack conditions for Azure or for {hcl.hardware}",
            ),
            *hardware.checks,
            bound,
            *quoted,
            _secure_boot(runtime_data, allowed),
            image,
        )
        believed = hardware.signed and _passed(bound) and all(map(_passed, quoted[:3]))
        safe = believed and hardware.allowed and all(map(_not_failed, hardware.checks))
        claims = replace(
            hardware.claims,
            runtime_digest=runtime,
            measurements=measurements,
            details=AzureClaims(hcl.hardware, runtime_data, quote),
        )
        tier = Tier.HARDWARE if safe else Tier.SOFTWARE_TPM
        return AttestationResult(KIND, tier, claims if believed else None, checks)


def _passed(item: Check) -> bool:
    return item.mark is Mark.PASSED


def _not_failed(item: Check) -> bool:
    return item.mark is not Mark.FAILED


def _bound(hcl: HclReport, hardware: HardwareAppraisal) -> Check:
    return check(
        "runtime-data",
        "Hardware vouches for the TPM's key",
        hcl.bound_in(hardware.report_data) and hardware.consistent,
        good="report data is the hash of the runtime data that names the key",
        bad="report data is not the hash of this runtime data, or is of another machine",
    )


def _quoted(
    payload: AzurePayload,
    runtime_data: RuntimeData,
    quote: QuoteInfo,
    allowed: AzureCvmReference,
    expected_binding: ExpectedBinding,
) -> tuple[Check, ...]:
    """Return the checks of the quote; the first three make it believed."""
    names = set(allowed.required_pcrs)
    return (
        check(
            "quote-signature",
            "Quote is signed by the TPM's key",
            _signature_holds(payload, runtime_data),
            good="the signature holds by the key that the runtime data names",
            bad="the signature over the quote does not hold",
        ),
        check(
            "pcr-selection",
            "Quote covers all registers",
            selected(quote, tuple(range(PCRS))) and len(payload.pcrs) == PCRS,
            good=f"all {PCRS} registers of the SHA-256 bank",
            bad="fewer or other registers, or another bank",
        ),
        check(
            "pcr-digest",
            "Register values are the quoted ones",
            hashlib.sha256(b"".join(payload.pcrs)).digest() == quote.pcr_digest,
            good="their digest is in the quote",
            bad="their digest is not the one in the quote",
        ),
        check(
            "pcr-required",
            "Images are named by registers that nobody sets back",
            bool(names) and not names & RESETTABLE_PCRS,
            good=f"registers {', '.join(map(str, sorted(names)))}",
            bad="your conditions require no register, or one that running software sets back",
        ),
        check(
            "binding",
            "Evidence is bound to this session",
            expected_binding.in_nonce(quote.extra_data),
            good="the quote's extra data is the hash of purpose, audience, nonce, job and key",
            bad="the quote's extra data is not what this session expects, or is empty",
        ),
    )


def _secure_boot(runtime_data: RuntimeData, allowed: AzureCvmReference) -> Check:
    return check(
        "secure-boot",
        "Secure boot is as you accept it",
        not allowed.require_secure_boot or runtime_data.secure_boot is True,
        good="on, or you do not ask for it",
        bad="the paravisor does not say that secure boot is on",
    )


def _signature_holds(payload: AzurePayload, runtime_data: RuntimeData) -> bool:
    key = runtime_data.attestation_key
    try:
        key.verify(payload.signature, payload.message, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True
