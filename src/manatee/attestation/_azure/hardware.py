"""The hardware's own report inside Azure's evidence, appraised as that kind is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from manatee.attestation._azure.hcl import HclReport, is_of_td
from manatee.attestation._azure.payload import AzurePayload
from manatee.attestation._endorsements import Endorsements
from manatee.attestation._interface import Check, Claims, check
from manatee.attestation._reference import ReferenceValues
from manatee.attestation._snp import verifier as snp
from manatee.attestation._snp.platform import appraise_platform as appraise_snp
from manatee.attestation._snp.report import parse_report
from manatee.attestation._tdx import verifier as tdx
from manatee.attestation._tdx.quote import parse_quote
from manatee.records import Base64

PARAVISOR_VMPL = 0
"""Privilege level of Azure's paravisor; the VM's own software runs below it."""


@dataclass(frozen=True)
class HardwareAppraisal:
    """What the hardware's report says and whether it holds.

    Attributes:
        allowed: Whether the relying party has conditions for this hardware.
        signed: Whether the chain to the vendor's root, and the signature, hold.
        consistent: Whether the paravisor's report is of the same machine.
        report_data: The 64 bytes in the report.
        measurement: Name of the measurement that is the paravisor's.
        claims: Of the hardware's kind.
        checks: Of the hardware's kind, `allowed-kind` left out.
    """

    allowed: bool
    signed: bool
    consistent: bool
    report_data: bytes
    measurement: str
    claims: Claims
    checks: tuple[Check, ...]


def appraise_hardware(
    hcl: HclReport,
    payload: AzurePayload,
    *,
    at: datetime,
    reference_values: ReferenceValues,
    roots: tuple[Base64, ...] | None,
    endorsements: Endorsements,
) -> HardwareAppraisal:
    """Appraise everything the vendor's kind asks, but binding and image.

    Args:
        hcl: The paravisor's report.
        payload: The evidence it came in.
        at: The moment of appraisal.
        reference_values: The relying party's.
        roots: Pinned for Azure's kind alone, DER in base64; None: those of the hardware's kind.
        endorsements: Certificates and collateral.

    Raises:
        MalformedError: Report, quote or certificate cannot be read.
        AppraisalUnavailableError: Certificate or collateral is missing.
    """
    if hcl.hardware == snp.KIND:
        return _over_snp(hcl, payload, at, reference_values, roots, endorsements)
    return _over_tdx(hcl, payload, at, reference_values, roots, endorsements)


def _kept(checks: tuple[Check, ...]) -> tuple[Check, ...]:
    return tuple(item for item in checks if item.name != "allowed-kind")


def _over_snp(
    hcl: HclReport,
    payload: AzurePayload,
    at: datetime,
    reference_values: ReferenceValues,
    roots: tuple[Base64, ...] | None,
    endorsements: Endorsements,
) -> HardwareAppraisal:
    report = parse_report(hcl.report)
    given = Endorsements(certificates=(payload.vcek,) if payload.vcek else ())
    platform, signed = appraise_snp(
        report,
        at=at,
        reference=reference_values.snp,
        roots=reference_values.roots.get(snp.KIND) if roots is None else roots,
        endorsements=endorsements.joined(given),
    )
    paravisor = check(
        "paravisor",
        "Paravisor itself asked for the report",
        report.vmpl == PARAVISOR_VMPL,
        good=f"VMPL {report.vmpl}",
        bad=f"VMPL {report.vmpl}: software below the paravisor asked",
    )
    return HardwareAppraisal(
        allowed=reference_values.snp is not None,
        signed=signed,
        consistent=True,
        report_data=report.report_data,
        measurement="measurement",
        claims=snp.claims_of(report, platform),
        checks=(*_kept(platform.checks), paravisor),
    )


def _over_tdx(
    hcl: HclReport,
    payload: AzurePayload,
    at: datetime,
    reference_values: ReferenceValues,
    roots: tuple[Base64, ...] | None,
    endorsements: Endorsements,
) -> HardwareAppraisal:
    quote, exact = parse_quote(payload.td_quote)
    platform = tdx.appraise_platform(
        quote,
        exact,
        at=at,
        reference=reference_values.tdx,
        roots=reference_values.roots.get(tdx.KIND) if roots is None else roots,
        endorsements=endorsements,
    )
    same = is_of_td(
        hcl.report,
        report_data=quote.report_data,
        attributes=quote.td_attributes,
        mr_td=quote.mr_td,
    )
    return HardwareAppraisal(
        allowed=reference_values.tdx is not None,
        signed=platform.dcap is not None,
        consistent=same,
        report_data=quote.report_data,
        measurement="mrtd",
        claims=tdx.claims_of(quote, platform, runtime=None),
        checks=_kept(platform.checks),
    )
