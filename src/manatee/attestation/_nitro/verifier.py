"""Appraisal of AWS Nitro attestation documents."""

from __future__ import annotations

from datetime import datetime

from cryptography import x509

from manatee.attestation._certificates import Path, build_path, read_certificate
from manatee.attestation._cose import signature_holds
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
from manatee.attestation._nitro.document import NitroDocument, parse_document
from manatee.attestation._nitro.reference import NitroReference
from manatee.attestation._reference import ReferenceValues
from manatee.attestation._vendor_roots import der, vendor_chain
from manatee.errors import AppraisalRefusedError
from manatee.records import Base64, Evidence, Tier, unbase64

KIND = "aws-nitro"
MEDIA_TYPE = "application/vnd.manatee.aws-nitro-document+cbor"
ROOT_SHA256 = "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b"
CLOCK_SKEW_SECONDS = 60


class NitroVerifier:
    """Appraises Nitro documents; tier HARDWARE.

    The leaf lives three hours, so the path must hold at the document's own time; how old the
    document may be is asked apart. Checked: path, signature, freshness, debug mode, binding (in
    the nonce) and image.
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
        document, sign1 = parse_document(unbase64(evidence.payload))
        allowed = reference_values.nitro
        path, no_path = first_refusal(lambda: _path(document, reference_values.roots.get(KIND)))
        signed = path is not None and signature_holds(sign1, path.leaf.public_key())
        age = (at - document.issued_at).total_seconds()
        fresh = age >= -CLOCK_SKEW_SECONDS and (max_age_seconds is None or age <= max_age_seconds)
        measurements = {f"pcr{index}": value.hex() for index, value in document.pcrs.items()}
        required = tuple(f"pcr{index}" for index in (allowed or NitroReference()).required_pcrs)
        runtime, image = match_image(KIND, measurements, reference_values, required=required)
        role = allowed.role_sha384 if allowed else None
        checks: tuple[Check, ...] = (
            check(
                "allowed-kind",
                "Nitro enclaves are among what you accept",
                allowed is not None,
                good="the reference values have conditions for Nitro",
                bad="the reference values name no conditions for Nitro",
            ),
            check(
                "root",
                "Key belongs to a genuine Nitro hypervisor",
                path is not None,
                good="the path holds at the document's time and ends in AWS's root",
                bad=no_path,
            ),
            check(
                "signature",
                "Document is signed by that key",
                signed,
                good="the signature over the document holds",
                bad="the signature over the document does not hold",
            ),
            check(
                "freshness",
                "Document is fresh",
                fresh,
                good=f"issued {document.issued_at:%Y-%m-%dT%H:%M:%SZ}",
                bad=f"issued {document.issued_at:%Y-%m-%dT%H:%M:%SZ}: too old or in the future",
            ),
            check(
                "debug",
                "Enclave is not in debug mode",
                not document.debug,
                good="registers 0 to 2 are not zero",
                bad="a register of the image is zero or missing: the enclave is in debug mode",
            ),
            check(
                "binding",
                "Evidence is bound to this session",
                expected_binding.in_nonce(document.nonce),
                good="the nonce is the hash of purpose, audience, nonce, job and session key",
                bad="the nonce is not what this session expects, or there is none",
            ),
            check(
                "role",
                "Parent instance has the role you ask for",
                role is None or measurements.get("pcr3") == role,
                good="you ask for none, or PCR 3 is its hash",
                bad="PCR 3 is not the hash of the role you ask for",
            ),
            image,
        )
        claims = Claims(
            runtime_digest=runtime,
            debug=document.debug,
            issued_at=document.issued_at,
            measurements=measurements,
            platform=document.module_id.encode("unicode_escape").decode(),
            details=document,
        )
        return AttestationResult(KIND, Tier.HARDWARE, claims if signed else None, checks)


def _path(document: NitroDocument, roots: tuple[Base64, ...] | None) -> Path:
    """Build the path from the leaf to the root, which the bundle lists root first."""
    if roots is None:
        pinned = [der(vendor_chain("_nitro", "aws-nitro-root-g1.pem", ROOT_SHA256)[-1])]
    else:
        pinned = [unbase64(item) for item in roots]
    if document.authorities[0] not in pinned:
        raise AppraisalRefusedError("the document's bundle does not begin with a pinned root.")
    above = [read_certificate(item) for item in reversed(document.authorities)]
    leaf = read_certificate(document.certificate)
    if not _may_sign(leaf):
        raise AppraisalRefusedError("the document's certificate is not one for signing.")
    return build_path(leaf, above, pinned, at=document.issued_at)


def _may_sign(leaf: x509.Certificate) -> bool:
    """Whether the certificate is for signatures (AWS, "Attestation process", 3.2.3.3)."""
    try:
        usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return usage.digital_signature
