"""Appraisal of AMD SEV-SNP reports."""

from __future__ import annotations

from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from manatee.attestation._certificates import Path
from manatee.attestation._endorsements import Endorsements
from manatee.attestation._expected import ExpectedBinding
from manatee.attestation._images import match_image
from manatee.attestation._interface import (
    AttestationResult,
    Check,
    Claims,
    check,
    first_refusal,
    not_applicable,
)
from manatee.attestation._reference import ReferenceValues
from manatee.attestation._snp.endorsement import (
    Endorsed,
    endorsement_path,
    find_leaf,
    read_endorsed,
)
from manatee.attestation._snp.reference import SnpReference
from manatee.attestation._snp.report import (
    PLATFORM_ALIAS_CHECK_COMPLETE,
    POLICY_SINGLE_SOCKET,
    POLICY_SMT,
    SnpReport,
    parse_report,
)
from manatee.attestation._snp.tcb import at_least, product_of_cpu, read_tcb
from manatee.errors import AppraisalRefusedError
from manatee.records import Base64, Digest, Evidence, Tier, unbase64

KIND = "amd-sev-snp"
MEDIA_TYPE = "application/vnd.manatee.amd-sev-snp-report"

NOTHING_ALLOWED = SnpReference(minimum_tcb={}, signing_keys=(), chip_ids=())


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


class Platform:
    """What was found out about the processor: its product, TCB, and the checks made."""

    def __init__(self, product: str, tcb: dict[str, int], checks: tuple[Check, ...]) -> None:
        self.product = product
        self.tcb = tcb
        self.checks = checks


def appraise_platform(
    report: SnpReport,
    *,
    at: datetime,
    reference: SnpReference | None,
    roots: tuple[Base64, ...] | None,
    endorsements: Endorsements,
) -> tuple[Platform, bool]:
    """Appraise everything but binding and image: also for evidence that holds an SNP report.

    Returns:
        The platform with its checks, and whether the signature chain holds.

    Raises:
        AppraisalUnavailableError: The VCEK or VLEK certificate is missing.
        MalformedError: A certificate cannot be read.
    """
    leaf = find_leaf(endorsements, report.signing_key)
    endorsed = read_endorsed(leaf)
    pinned = None if roots is None else tuple(unbase64(item) for item in roots)
    path, no_path = first_refusal(
        lambda: endorsement_path(leaf, endorsed, endorsements, pinned, at=at)
    )
    product, no_product = first_refusal(lambda: _product(report, endorsed))
    tcb = read_tcb(report.reported_tcb, product) if product else {}
    signed = path is not None and _signature_holds(report, path)
    allowed = reference or NOTHING_ALLOWED
    floor = {} if product is None else allowed.minimum_tcb.get(product, {})  # type: ignore[call-overload]
    limit = allowed.chip_ids
    checks = (
        check(
            "allowed-kind",
            "SEV-SNP is among what you accept",
            reference is not None,
            good="the reference values have conditions for SEV-SNP",
            bad="the reference values name no conditions for SEV-SNP",
        ),
        check(
            "root",
            "Key belongs to a genuine AMD processor",
            path is not None,
            good=f"the {report.signing_key.upper()} chains to AMD's root for {endorsed.product}",
            bad=no_path,
        ),
        check(
            "signature",
            "Report is signed by that key",
            signed,
            good="the signature over the report holds",
            bad="the signature over the report does not hold",
        ),
        check(
            "product",
            "Report and key are of one product",
            product is not None,
            good=f"{product}",
            bad=no_product,
        ),
        check(
            "signing-key",
            "Kind of signing key is accepted",
            endorsed.signing_key == report.signing_key
            and report.signing_key in allowed.signing_keys,
            good=f"signed by a {report.signing_key.upper()}",
            bad=f"signed by a {report.signing_key.upper()}, which your conditions do not name",
        ),
        check(
            "tcb-endorsed",
            "Key was made for the reported TCB",
            product is not None and endorsed.tcb == tcb,
            good="reported TCB equals the certificate's",
            bad="reported TCB differs from the certificate's",
        ),
        check(
            "tcb",
            "Firmware and microcode are recent enough",
            at_least(tcb, floor) and _settled(report, product, floor),
            good=f"{_shown(tcb)} reach your floor",
            bad=f"{_shown(tcb)} do not reach your floor ({_shown(floor)}), or did not at launch",
        ),
        _chip(report, endorsed, limit),
        check(
            "vmpl",
            "Privilege level of whoever asked",
            report.vmpl <= allowed.maximum_vmpl,
            good=f"VMPL {report.vmpl}",
            bad=f"VMPL {report.vmpl} is above the allowed {allowed.maximum_vmpl}",
        ),
        check(
            "debug",
            "Guest is not debuggable",
            not report.debug,
            good="debugging is off",
            bad="the guest policy allows debugging",
        ),
        check(
            "migration",
            "Guest cannot be migrated",
            not report.migration,
            good="no migration agent",
            bad="the guest policy allows a migration agent, or one is associated",
        ),
        check(
            "smt",
            "Hyper-threading is as you accept it",
            allowed.allow_smt or not report.policy & POLICY_SMT,
            good="as your conditions say",
            bad="the guest policy allows hyper-threading",
        ),
        check(
            "single-socket",
            "Sockets are as you accept them",
            not allowed.require_single_socket or bool(report.policy & POLICY_SINGLE_SOCKET),
            good="as your conditions say",
            bad="the guest policy allows more than one socket",
        ),
        check(
            "alias-check",
            "Memory was checked for aliases (CVE-2024-21944)",
            not allowed.require_alias_check
            or bool(report.platform_info & PLATFORM_ALIAS_CHECK_COMPLETE),
            good="the check is complete, or you do not ask for it",
            bad="the platform does not report a complete alias check",
        ),
    )
    return Platform(product or "", tcb, checks), signed


def _product(report: SnpReport, endorsed: Endorsed) -> str:
    """Return the product by the processor's own word (version 3 on), else by its certificate."""
    if report.cpuid is None:
        return endorsed.product
    family, model, _ = report.cpuid
    product = product_of_cpu(family, model)
    if product != endorsed.product:
        raise AppraisalRefusedError(f"a {product} processor cannot have this certificate.")
    return product


def _settled(report: SnpReport, product: str | None, floor: dict[str, int]) -> bool:
    """Whether current firmware is no older than reported, and the guest started above the floor."""
    if product is None:
        return False
    reported = read_tcb(report.reported_tcb, product)
    current = read_tcb(report.current_tcb, product)
    launch = read_tcb(report.launch_tcb, product)
    return at_least(current, reported) and at_least(launch, floor)


def _chip(report: SnpReport, endorsed: Endorsed, limit: tuple[str, ...] | None) -> Check:
    title = "Chip is the endorsed one, and one you accept"
    if endorsed.fleet and limit is None:
        return not_applicable("chip", title, f"endorsed for the fleet {endorsed.fleet}")
    same = bool(endorsed.fleet) or report.chip_id == endorsed.chip.ljust(64, b"\0")
    listed = limit is None or (any(report.chip_id) and report.chip_id.hex() in limit)
    return check(
        "chip",
        title,
        same and listed,
        good="the chip's identifier is the certificate's",
        bad="the chip's identifier is hidden, not the certificate's, or not on your list",
    )


def _signature_holds(report: SnpReport, path: Path) -> bool:
    key = path.leaf.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        return False
    signature = encode_dss_signature(report.signature_r, report.signature_s)
    try:
        key.verify(signature, report.signed, ec.ECDSA(hashes.SHA384()))
    except InvalidSignature:
        return False
    return True


def _shown(tcb: dict[str, int]) -> str:
    return ", ".join(f"{name} {value}" for name, value in tcb.items()) or "nothing"


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
