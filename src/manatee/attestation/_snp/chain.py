"""From a VCEK or VLEK over AMD's intermediate to AMD's root for the product.

VCEK - ASK - ARK, or VLEK - ASVK - ARK, all signed with RSASSA-PSS and SHA-384 (AMD, VCEK
Certificate and KDS Interface Specification, chapter 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from manatee.attestation._certificates import Path, build_path, read_certificate
from manatee.attestation._endorsements import Endorsements
from manatee.attestation._snp.endorsement import Endorsed, is_leaf, names_key, read_endorsed
from manatee.attestation._snp.report import SnpReport
from manatee.attestation._snp.revocation import check_not_revoked
from manatee.attestation._snp.tcb import read_tcb
from manatee.attestation._vendor_roots import der, vendor_chain
from manatee.errors import AppraisalRefusedError, AppraisalUnavailableError, MalformedError

ARK_SHA256 = {
    "Milan": "69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd",
    "Genoa": "4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1",
    "Turin": "1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a",
}
MAX_CANDIDATES = 8
"""Most certificates tried for one place in the path."""

Leaf = tuple[x509.Certificate, Endorsed]


def find_leaves(endorsements: Endorsements, report: SnpReport) -> list[Leaf]:
    """Return the certificates that may be the report's, never none.

    AMD issues a certificate anew whenever it is asked, and a relying party may keep those of many
    chips. Those for the report's chip and TCB are returned, or, if there is none, whatever is of
    the right kind, so that the checks can say what is wrong with it.

    Raises:
        AppraisalUnavailableError: There is no certificate of the kind.
        MalformedError: A certificate cannot be read.
    """
    found: list[Leaf] = []
    unread: MalformedError | None = None
    for data in dict.fromkeys(endorsements.certificates):
        certificate = read_certificate(data)
        if names_key(certificate, report.signing_key):
            try:
                found.append((certificate, read_endorsed(certificate)))
            except MalformedError as error:
                unread = error
    if not found and unread is not None:
        raise unread
    if not found:
        name = report.signing_key.upper()
        raise AppraisalUnavailableError(
            f"the {name} certificate of this report is missing.",
            hint="Fetch it from AMD's key distribution service into the collateral cache.",
        )
    fitting = [leaf for leaf in found if _fits(leaf[1], report)]
    return (fitting or found)[:MAX_CANDIDATES]


def is_of_chip(endorsed: Endorsed, report: SnpReport) -> bool:
    """Whether a VCEK certificate names the report's chip; a hidden chip fits none."""
    same = report.chip_id == endorsed.chip.ljust(len(report.chip_id), b"\0")
    return same and any(report.chip_id)


def _fits(endorsed: Endorsed, report: SnpReport) -> bool:
    try:
        same_tcb = read_tcb(report.reported_tcb, endorsed.product) == endorsed.tcb
    except (AppraisalRefusedError, MalformedError):
        return False
    return same_tcb and (bool(endorsed.fleet) or is_of_chip(endorsed, report))


def endorsement_path(
    leaf: Leaf,
    endorsements: Endorsements,
    roots: tuple[bytes, ...] | None,
    *,
    at: datetime,
) -> Path:
    """Return the path from a VCEK or VLEK to a pinned root.

    Args:
        leaf: The VCEK or VLEK certificate and what it says.
        endorsements: May hold the intermediate. The one shipped stands in where they hold none
            of AMD's; where they hold others', that is a mixture, and refused.
        roots: Pinned roots instead of AMD's, DER.
        at: The moment of appraisal.

    Raises:
        AppraisalRefusedError: There is no such path, or AMD revoked the intermediate.
        AppraisalUnavailableError: Only outdated revocation lists are there.
    """
    certificate, endorsed = leaf
    if endorsed.product not in ARK_SHA256:
        raise AppraisalRefusedError("the certificate is of no known product.")
    name = f"{endorsed.signing_key}-{endorsed.product.lower()}.pem"
    shipped, root = vendor_chain("_snp", name, ARK_SHA256[endorsed.product])
    pinned = (der(root),) if roots is None else roots
    intermediates = _intermediates(endorsements, pinned) or [shipped]
    if roots is None:
        # AMD's names tell whose keys an intermediate may sign: the chips' or the fleets'
        intermediates = [item for item in intermediates if item.subject == shipped.subject]
    path = _first_path(certificate, intermediates, pinned, at)
    _check_amd(path)
    check_not_revoked(path, endorsements.revocations, at)
    return path


def _intermediates(endorsements: Endorsements, pinned: tuple[bytes, ...]) -> list[x509.Certificate]:
    """Return the endorsements that an AMD root, or one pinned instead, claims to have issued."""
    roots = [
        vendor_chain("_snp", f"vcek-{product.lower()}.pem", sha256)[-1]
        for product, sha256 in ARK_SHA256.items()
    ] + [read_certificate(item) for item in pinned]
    names = [root.subject for root in roots]
    return [
        item
        for item in map(read_certificate, endorsements.certificates)
        if not is_leaf(item) and item.issuer in names and item.subject != item.issuer
    ]


def _first_path(
    leaf: x509.Certificate,
    intermediates: Sequence[x509.Certificate],
    roots: tuple[bytes, ...],
    at: datetime,
) -> Path:
    """Return the path over the first intermediate that gives one, or the first refusal."""
    named = [item for item in intermediates if item.subject == leaf.issuer]
    refusals = [
        AppraisalRefusedError(
            "the intermediate certificates given are not the issuer's of this VCEK or VLEK."
        )
    ]
    for intermediate in named[:MAX_CANDIDATES]:
        try:
            return build_path(leaf, [intermediate], roots, at=at)
        except AppraisalRefusedError as error:
            refusals.append(error)
    raise refusals[1] if len(refusals) > 1 else refusals[0]


def _check_amd(path: Path) -> None:
    """Check what AMD says of its certificates and general paths do not ask."""
    for certificate in path.certificates:
        scheme = certificate.signature_algorithm_parameters
        if not isinstance(scheme, padding.PSS) or not isinstance(
            certificate.signature_hash_algorithm, hashes.SHA384
        ):
            raise AppraisalRefusedError("AMD signs its certificates with RSASSA-PSS and SHA-384.")
