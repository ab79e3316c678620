"""Appraisal of NVIDIA GPUs' own measurement reports (Hopper, Blackwell)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from manatee.attestation._endorsements import Endorsements
from manatee.attestation._expected import ExpectedBinding
from manatee.attestation._gpu.device import Appraised, Roots, appraise_device
from manatee.attestation._gpu.identity import device_root
from manatee.attestation._gpu.manifest import manifest_root
from manatee.attestation._gpu.payload import MAX_PAYLOAD_BYTES, GpuEvidence, parse_payload
from manatee.attestation._gpu.reference import GpuReference
from manatee.attestation._interface import AttestationResult, Check, Claims, Mark, check
from manatee.attestation._reference import ReferenceValues
from manatee.errors import AppraisalUnavailableError
from manatee.records import Evidence, Tier, unbase64

KIND = "nvidia-gpu"
MANIFEST_ROOTS = "nvidia-rim"
"""Under this name reference values may replace the root that manifests must end in."""

MEDIA_TYPE = "application/vnd.manatee.nvidia-gpu+json"
NOTHING_ALLOWED = GpuReference(architectures=(), driver_versions=(), vbios_versions=())


class GpuVerifier:
    """Appraises reports of a machine's GPUs. They never stand alone.

    Accepted means: these are genuine GPUs of NVIDIA, running a driver and a VBIOS that NVIDIA
    states the measurements of and that the relying party lists, and they answered to this nonce.
    It says nothing of the machine they are plugged into, of who else can reach it, or of the job;
    `runtime_digest` and `job_digest` are None. Whoever releases on it must have evidence of the
    machine that carries the same binding; the tier that counts is that machine's, and the one
    given here says only that no software made the report. That the guest's driver and this GPU
    really speak through an encrypted session is for the guest's measured image to see to.

    Checked, for every GPU: certificates up to the device root; that none was revoked (of the
    signing key's nothing must be said, but what is said counts); signature; architecture, read in
    a certificate of NVIDIA's; the firmware named in the report is the one that the signing key was
    certified for; binding, in the request's nonce; mode; driver and VBIOS version; both reference
    manifests (path, signature, version, revocation) and every measurement they state. And that no
    GPU stands twice.
    """

    kind = KIND
    media_type = MEDIA_TYPE
    max_payload_bytes = MAX_PAYLOAD_BYTES

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
        """See `Verifier.appraise`. Reports are undated: the nonce alone settles freshness."""
        gpus = parse_payload(unbase64(evidence.payload))
        roots = _roots(reference_values)
        conditions = reference_values.gpu
        found = [
            appraise_device(
                gpu,
                at=at,
                expected_binding=expected_binding,
                allowed=conditions or NOTHING_ALLOWED,
                roots=roots,
                endorsements=endorsements,
            )
            for gpu in gpus
        ]
        claimed = [item.claims for item in found if item.claims is not None]
        checks = (
            check(
                "allowed-kind",
                "NVIDIA GPUs are among what you accept",
                conditions is not None,
                good="the reference values have conditions for GPUs",
                bad="the reference values name no conditions for GPUs",
            ),
            check(
                "devices",
                "Every report is another GPU's",
                len({_boot_rom(gpu) for gpu in gpus}) == len(gpus),
                good=f"{len(gpus)} GPU(s)",
                bad="a GPU stands twice",
            ),
            *_joined(found),
        )
        _check_collateral_is_there(checks, found)
        dates = [item.collateral_from for item in found if item.collateral_from is not None]
        accepted = all(item.mark is not Mark.FAILED for item in checks)
        claims = Claims(
            debug=not accepted,
            issued_at=None,
            measurements={f"gpu{n}-firmware": item.firmware for n, item in enumerate(claimed)},
            platform=", ".join(sorted({item.model for item in claimed})),
            chip_id=f"{claimed[0].serial:x}" if len(claimed) == 1 else "",
            collateral_from=min(dates, default=None),
            details=tuple(claimed),
        )
        whole = len(claimed) == len(found)
        return AttestationResult(KIND, Tier.HARDWARE, claims if whole else None, checks)


def _roots(reference_values: ReferenceValues) -> Roots:
    devices = reference_values.roots.get(KIND)
    manifests = reference_values.roots.get(MANIFEST_ROOTS)
    return Roots(
        devices=[device_root()] if devices is None else [unbase64(item) for item in devices],
        manifests=[manifest_root()]
        if manifests is None
        else [unbase64(item) for item in manifests],
    )


def _boot_rom(gpu: GpuEvidence) -> bytes:
    """Return the public key that is burnt into a GPU, as its chain gives it.

    Its signing key changes with its firmware, so that one GPU could pass for two.
    """
    certificate = gpu.chain[min(1, len(gpu.chain) - 1)]
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _joined(found: Sequence[Appraised]) -> tuple[Check, ...]:
    """Return one check of each name: the first GPU's that failed, or the first GPU's."""
    rows = zip(*(item.checks for item in found), strict=True)
    return tuple(next((item for item in row if item.mark is Mark.FAILED), row[0]) for row in rows)


def _check_collateral_is_there(checks: Sequence[Check], found: Sequence[Appraised]) -> None:
    """Tell evidence that lacks nothing but collateral from evidence that is refused.

    Raises:
        AppraisalUnavailableError: The checks that failed did so for missing collateral only.
    """
    missing = {name: wanted for item in reversed(found) for name, wanted in item.missing.items()}
    failed = [item.name for item in checks if item.mark is Mark.FAILED]
    other = [
        item
        for device in found
        for item in device.checks
        if item.mark is Mark.FAILED and item.name not in device.missing
    ]
    if failed and not other and set(failed) <= set(missing):
        raise AppraisalUnavailableError(
            f"collateral for the GPU is missing or out of date: {missing[failed[0]]}.",
            hint="manatee attest collateral fetch gpu; or let the guest send it.",
        )
