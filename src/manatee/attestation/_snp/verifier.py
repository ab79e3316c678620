"""Appraisal of AMD SEV-SNP reports."""

from __future__ import annotations

from datetime import datetime

from manatee.attestation._endorsements import Endorsements
from manatee.attestation._expected import ExpectedBinding
from manatee.attestation._images import match_image
from manatee.attestation._interface import AttestationResult, Claims, check
from manatee.attestation._reference import ReferenceValues
from manatee.attestation._snp.platform import Platform, appraise_platform
from manatee.attestation._snp.report import SnpReport, parse_report
from manatee.records import Digest, Evidence, Tier, unbase64

KIND = "amd-sev-snp"
MEDIA_TYPE = "application/vnd.manatee.amd-sev-snp-report"


class SnpVerifier:
    """Appraises SEV-SNP reports; tier HARDWARE.

    Checked: AMD's signature chain at the given time, the signature, TCB against certificate and
    floors, chip, VMPL, guest policy, memory alias check, binding and image. The report is undated:
    the caller's nonce settles freshness.
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
        report = parse_report(unbase64(evidence.payload))
        platform, signed = appraise_platform(
            report,
            at=at,
            reference=reference_values.snp,
            roots=reference_values.roots.get(KIND),
            endorsements=endorsements,
        )
        claims = claims_of(report, platform)
        runtime, image = match_image(
            KIND, claims.measurements, reference_values, required=("measurement",)
        )
        bound = check(
            "binding",
            "Evidence is bound to this session",
            expected_binding.in_report_data(report.report_data),
            good="report data is the hash of purpose, audience, nonce, job and session key",
            bad="report data is not what this session expects",
        )
        claims = claims_of(report, platform, runtime=runtime)
        return AttestationResult(
            KIND, Tier.HARDWARE, claims if signed else None, (*platform.checks, bound, image)
        )


def claims_of(report: SnpReport, platform: Platform, *, runtime: str | None = None) -> Claims:
    """Return a report's claims in the words of all kinds."""
    return Claims(
        runtime_digest=None if runtime is None else Digest(runtime),
        debug=report.debug,
        migration=report.migration,
        issued_at=None,
        measurements={
            "measurement": report.measurement.hex(),
            "host-data": report.host_data.hex(),
            "id-key-digest": report.id_key_digest.hex(),
            "author-key-digest": report.author_key_digest.hex(),
            "family-id": report.family_id.hex(),
            "image-id": report.image_id.hex(),
        },
        tcb=platform.tcb,
        vmpl=report.vmpl,
        chip_id=report.chip_id.hex() if any(report.chip_id) else "",
        platform=platform.product,
        details=report,
    )
