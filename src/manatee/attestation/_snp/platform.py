"""Appraisal of an SEV-SNP platform: everything in a report but binding and image."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from manatee.attestation._certificates import Path
from manatee.attestation._endorsements import Endorsements
from manatee.attestation._interface import Check, check, first_refusal, not_applicable
from manatee.attestation._snp.chain import Leaf, endorsement_path, find_leaves, is_of_chip
from manatee.attestation._snp.endorsement import Endorsed
from manatee.attestation._snp.reference import SnpReference
from manatee.attestation._snp.report import (
    PLATFORM_ALIAS_CHECK_COMPLETE,
    POLICY_SINGLE_SOCKET,
    POLICY_SMT,
    SnpReport,
)
from manatee.attestation._snp.tcb import at_least, product_of_cpu, read_tcb
from manatee.errors import AppraisalRefusedError
from manatee.records import Base64, unbase64

NOTHING_ALLOWED = SnpReference(minimum_tcb={}, signing_keys=(), chip_ids=())


@dataclass(frozen=True)
class Platform:
    """What was found out about the processor: its product, TCB, and the checks made."""

    product: str
    tcb: dict[str, int]
    checks: tuple[Check, ...]


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
    pinned = None if roots is None else tuple(unbase64(item) for item in roots)
    leaf, path, no_path = _best_path(report, endorsements, pinned, at)
    endorsed = leaf[1]
    product, no_product = first_refusal(lambda: _product(report, endorsed))
    tcb = read_tcb(report.reported_tcb, product) if product else {}
    signed = path is not None and _signature_holds(report, path)
    allowed = reference or NOTHING_ALLOWED
    floor = {} if product is None else allowed.minimum_tcb.get(product, {})  # type: ignore[call-overload]
    older = _others(report, product)
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
            report.signing_key in allowed.signing_keys,
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
            at_least(tcb, floor)
            and all(at_least(older.get(name, {}), floor) for name in ("committed", "launch")),
            good=f"{_shown(tcb)} reach your floor, also at launch and after any rollback",
            bad=f"{_shown(tcb)}, or TCB at launch or committed, below floor ({_shown(floor)})",
        ),
        check(
            "tcb-consistent",
            "No reported version is above the running one",
            bool(older)
            and at_least(older["current"], tcb)
            and all(at_least(older["current"], older[name]) for name in ("committed", "launch")),
            good="reported, committed and launch TCB are not above the current one",
            bad="reported, committed or launch TCB is above the current one",
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


def _others(report: SnpReport, product: str | None) -> dict[str, dict[str, int]]:
    """Return the report's further TCB versions by name; none where the layout is unknown."""
    if product is None:
        return {}
    raw = {
        "current": report.current_tcb,
        "committed": report.committed_tcb,
        "launch": report.launch_tcb,
    }
    return {name: read_tcb(value, product) for name, value in raw.items()}


def _best_path(
    report: SnpReport, endorsements: Endorsements, roots: tuple[bytes, ...] | None, at: datetime
) -> tuple[Leaf, Path | None, str]:
    """Return the leaf that signed the report, with its path; else the first, and what is wrong."""
    tried = []
    for leaf in find_leaves(endorsements, report):
        path, problem = first_refusal(
            lambda leaf=leaf: endorsement_path(leaf, endorsements, roots, at=at)  # type: ignore[misc]
        )
        tried.append((leaf, path, problem))
        if path is not None and _signature_holds(report, path):
            return tried[-1]
    return tried[0]


def _chip(report: SnpReport, endorsed: Endorsed, limit: tuple[str, ...] | None) -> Check:
    title = "Chip is the endorsed one, and one you accept"
    if endorsed.fleet and limit is None:
        return not_applicable("chip", title, f"endorsed for the fleet {endorsed.fleet}")
    same = bool(endorsed.fleet) or is_of_chip(endorsed, report)
    listed = limit is None or (
        any(report.chip_id)
        and report.chip_id in [bytes.fromhex(item).ljust(64, b"\0") for item in limit]
    )
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
