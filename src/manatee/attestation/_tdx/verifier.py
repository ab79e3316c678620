"""Appraisal of Intel TDX quotes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

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
from manatee.attestation._reference import ReferenceValues
from manatee.attestation._tdx.collateral import TdxCollateral, find_collateral
from manatee.attestation._tdx.dcap import DcapResult, verify_quote
from manatee.attestation._tdx.quote import (
    ATTRIBUTES_SEPT_VE_DISABLE,
    TdQuote,
    fmspc_of,
    parse_quote,
)
from manatee.attestation._tdx.reference import TdxReference
from manatee.attestation._tdx.signers import check_signers
from manatee.attestation._vendor_roots import der, vendor_chain
from manatee.errors import AppraisalRefusedError
from manatee.records import Base64, Digest, Evidence, Tier, unbase64

KIND = "intel-tdx"
MEDIA_TYPE = "application/vnd.manatee.intel-tdx-quote"
ROOT_SHA256 = "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3"

NOTHING_ALLOWED = TdxReference(tcb_statuses=(), refused_advisories=("*",), fmspcs=())


@dataclass(frozen=True)
class TdxPlatform:
    """What was found out about the platform, and the checks made."""

    fmspc: str
    collateral: TdxCollateral
    dcap: DcapResult | None
    checks: tuple[Check, ...]


class TdxVerifier:
    """Appraises TDX quotes; tier HARDWARE.

    Checked: signatures, PCK chain, revocation, QE identity and TCB by the DCAP library at the
    given time, then here its verdict, the collateral's age, TD attributes, binding and image. The
    quote is undated: the caller's nonce settles freshness.
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
        quote, exact = parse_quote(unbase64(evidence.payload))
        platform = appraise_platform(
            quote,
            exact,
            at=at,
            reference=reference_values.tdx,
            roots=reference_values.roots.get(KIND),
            endorsements=endorsements,
        )
        runtime, image = match_image(
            KIND,
            measurements_of(quote),
            reference_values,
            required=("mrtd", "rtmr0", "rtmr1", "rtmr2"),
        )
        bound = check(
            "binding",
            "Evidence is bound to this session",
            expected_binding.in_report_data(quote.report_data),
            good="report data is the hash of purpose, audience, nonce, job and session key",
            bad="report data is not what this session expects",
        )
        claims = claims_of(quote, platform, runtime=runtime)
        return AttestationResult(
            KIND,
            Tier.HARDWARE,
            claims if platform.dcap is not None else None,
            (*platform.checks, bound, image),
        )


def appraise_platform(
    quote: TdQuote,
    exact: bytes,
    *,
    at: datetime,
    reference: TdxReference | None,
    roots: tuple[Base64, ...] | None,
    endorsements: Endorsements,
) -> TdxPlatform:
    """Appraise everything but binding and image: also for evidence that holds a TDX quote.

    Raises:
        AppraisalUnavailableError: Intel's collateral for this platform is missing.
        MalformedError: Quote or collateral cannot be read.
    """
    allowed = reference or NOTHING_ALLOWED
    fmspc = fmspc_of(quote.certificates[0])
    collateral = find_collateral(endorsements, fmspc)
    dcap, no_dcap = first_refusal(lambda: _verify(quote, exact, collateral, roots, at))
    advisories = dcap.advisories if dcap else ()
    refused = [item for item in advisories if {"*", item} & set(allowed.refused_advisories)]
    age = at - collateral.issued
    oldest = timedelta(seconds=allowed.maximum_collateral_age_seconds)
    checks = (
        check(
            "allowed-kind",
            "TDX is among what you accept",
            reference is not None,
            good="the reference values have conditions for TDX",
            bad="the reference values name no conditions for TDX",
        ),
        check(
            "signature",
            "Quote is signed by a genuine Intel platform",
            dcap is not None,
            good="quote, quoting enclave, PCK chain and collateral hold, up to Intel's root",
            bad=no_dcap,
        ),
        check(
            "tcb-status",
            "Firmware and microcode are patched",
            dcap is not None and dcap.status in allowed.tcb_statuses,
            good=f"Intel says {dcap.status if dcap else ''}",
            bad=f"Intel says {dcap.status if dcap else 'nothing'}, which you do not accept",
        ),
        check(
            "advisories",
            "No refused security advisory is open",
            dcap is not None and not refused,
            good=", ".join(advisories) or "none is open",
            bad=f"open: {', '.join(refused) or 'unknown'}",
        ),
        check(
            "collateral",
            "Intel's collateral is in force and recent",
            collateral.begins <= at <= collateral.expires and age <= oldest,
            good=f"issued {age.days} day(s) before",
            bad=f"issued {age.days} day(s) before, over {oldest.days} day(s) old or not in force",
        ),
        check(
            "tcb-evaluation",
            "Collateral knows of recent advisories",
            collateral.evaluation_number >= allowed.minimum_tcb_evaluation_number,
            good=f"evaluation number {collateral.evaluation_number}",
            bad=f"evaluation number {collateral.evaluation_number} is below your minimum",
        ),
        check(
            "platform",
            "Platform is one you accept",
            allowed.fmspcs is None or fmspc in allowed.fmspcs,
            good=f"FMSPC {fmspc}",
            bad=f"FMSPC {fmspc} is not on your list",
        ),
        check(
            "debug",
            "TD is not debuggable",
            not quote.debug,
            good="no attribute puts the TD under debug",
            bad="an attribute puts the TD under debug",
        ),
        check(
            "migration",
            "TD cannot be migrated",
            not quote.migration,
            good="not migratable, and no service TD is bound",
            bad="the TD is migratable, or a service TD is bound",
        ),
        check(
            "sept-ve",
            "TD cannot be tricked on its private pages",
            not allowed.require_sept_ve_disable
            or bool(quote.td_attributes & ATTRIBUTES_SEPT_VE_DISABLE),
            good="SEPT_VE_DISABLE is set, or you do not ask for it",
            bad="SEPT_VE_DISABLE is clear",
        ),
        check(
            "attributes",
            "TD has only known attributes",
            not quote.unknown_attributes,
            good="no unknown attribute bit is set",
            bad="attribute bits are set whose meaning is unknown",
        ),
        check(
            "module",
            "TDX module is Intel's",
            not any(quote.mr_signer_seam) and not any(quote.seam_attributes),
            good="signed by Intel, with no attributes",
            bad="the TDX module is signed by somebody else, or has attributes",
        ),
    )
    return TdxPlatform(fmspc, collateral, dcap, checks)


def _verify(
    quote: TdQuote,
    exact: bytes,
    collateral: TdxCollateral,
    roots: tuple[Base64, ...] | None,
    at: datetime,
) -> DcapResult:
    intel = der(vendor_chain("_tdx", "intel-sgx-root-ca.der", ROOT_SHA256)[-1])
    pinned = (intel,) if roots is None else tuple(unbase64(item) for item in roots)
    if quote.certificates[-1] not in pinned:
        raise AppraisalRefusedError("the PCK chain does not end in a pinned root.")
    if collateral.fmspc != fmspc_of(quote.certificates[0]):
        raise AppraisalRefusedError("Fmspc mismatch: the collateral is for another platform.")
    check_signers(collateral.body)
    return verify_quote(exact, collateral.body, quote.certificates[-1], at)


def measurements_of(quote: TdQuote) -> dict[str, str]:
    """Return the TD's measurements by name."""
    return {
        "mrtd": quote.mr_td.hex(),
        **{f"rtmr{number}": value.hex() for number, value in enumerate(quote.rtmrs)},
        "mrconfigid": quote.mr_config_id.hex(),
        "mrowner": quote.mr_owner.hex(),
        "mrownerconfig": quote.mr_owner_config.hex(),
        "mrseam": quote.mr_seam.hex(),
        "xfam": quote.xfam.hex(),
        "td-attributes": quote.td_attributes.to_bytes(8, "little").hex(),
    }


def claims_of(quote: TdQuote, platform: TdxPlatform, *, runtime: str | None) -> Claims:
    """Return a quote's claims in the words of all kinds."""
    return Claims(
        runtime_digest=None if runtime is None else Digest(runtime),
        debug=quote.debug,
        migration=quote.migration,
        issued_at=None,
        measurements=measurements_of(quote),
        tcb={f"tee-svn-{number}": value for number, value in enumerate(quote.tee_tcb_svn)},
        tcb_status=platform.dcap.status if platform.dcap else "",
        advisories=platform.dcap.advisories if platform.dcap else (),
        platform=f"FMSPC {platform.fmspc}",
        collateral_from=platform.collateral.issued,
        details=quote,
    )
