"""Where AMD, Intel and issuers of tokens keep what they state.

Base addresses are arguments: mirrors serve as well. Nothing is believed for where it came from:
certificates, lists and TCB info are signed and checked at each appraisal, and bare keys are held
until a person accepts them.
"""

from __future__ import annotations

from urllib.parse import unquote

from cryptography.x509.oid import NameOID

from manatee.attestation._certificates import read_certificate
from manatee.attestation._snp.report import parse_report
from manatee.attestation._snp.tcb import product_of_cpu, read_tcb
from manatee.attestation._tdx.quote import fmspc_of, parse_quote
from manatee.collateral._download import Downloader
from manatee.collateral._intel import TdxParts, read_tdx_parts
from manatee.collateral._item import Item, ItemKind
from manatee.collateral._read import read_item, read_items
from manatee.errors import InputError, MalformedError

AMD_KDS = "https://kdsintf.amd.com"
INTEL_PCS = "https://api.trustedservices.intel.com"
INTEL_CERTIFICATES = "https://certificates.trustedservices.intel.com"

_PRODUCTS = ("Milan", "Genoa", "Turin")
_PARAMETERS = {
    "fmc": "fmcSPL",
    "bootloader": "blSPL",
    "tee": "teeSPL",
    "snp": "snpSPL",
    "microcode": "ucodeSPL",
}
_TURIN_CHIP_BYTES = 8


def fetch_amd(
    report: bytes, get: Downloader, *, base: str = AMD_KDS, product: str = ""
) -> tuple[Item, ...]:
    """Fetch what a report needs of AMD (AMD 57230, "VCEK Certificate and KDS Interface").

    For a chip's key: its certificate, chain and revocation list. For a fleet's key (VLEK) the
    chain and list only; its certificate comes from the cloud that runs the fleet.

    Args:
        report: 1184 bytes; no signature is checked.
        get: Who goes to the network.
        base: Address of the service.
        product: Needed for reports of version 2, which do not name their processor.

    Raises:
        MalformedError: The report or an answer cannot be read.
        InputError: The product is missing or unknown.
        AppraisalRefusedError: The processor or signing key is unknown.
        NotFoundError, AppraisalUnavailableError, TooLargeError: See `Downloader.get`.
    """
    fields = parse_report(report)
    if fields.cpuid is not None:
        product = product_of_cpu(fields.cpuid[0], fields.cpuid[1])
    if product not in _PRODUCTS:
        raise InputError(f"the report does not name its product: say one of {_PRODUCTS}.")
    key = fields.signing_key
    if key not in {"vcek", "vlek"}:
        raise InputError("the report is not signed by a VCEK or VLEK.")
    found: list[Item] = []
    if key == "vcek":
        chip = fields.chip_id[:_TURIN_CHIP_BYTES] if product == "Turin" else fields.chip_id
        if not any(chip):
            raise InputError("the report hides its chip, whose certificate cannot be asked for.")
        levels = read_tcb(fields.reported_tcb, product)
        query = "&".join(f"{_PARAMETERS[name]}={value:02d}" for name, value in levels.items())
        leaf = get.get(f"{base}/vcek/v1/{product}/{chip.hex()}?{query}")
        found.append(read_item(leaf.body, ItemKind.CERTIFICATE))
    chain = get.get(f"{base}/{key}/v1/{product}/cert_chain")
    found.extend(read_items(chain.body, ItemKind.CERTIFICATE_CHAIN))
    revoked = get.get(f"{base}/{key}/v1/{product}/crl")
    found.append(read_item(revoked.body, ItemKind.REVOCATION_LIST, name=key))
    return tuple(found)


def fetch_intel(
    quote: bytes, get: Downloader, *, base: str = INTEL_PCS, certificates: str = INTEL_CERTIFICATES
) -> tuple[Item, ...]:
    """Fetch what a quote needs of Intel (PCS API 4.0).

    Args:
        quote: A TDX quote; no signature is checked.
        get: Who goes to the network.
        base: Address of the Provisioning Certification Service, or of a cache (PCCS).
        certificates: Address of the root's revocation list.

    Raises:
        MalformedError: The quote or an answer cannot be read.
        InputError: An answer is empty.
        NotFoundError, AppraisalUnavailableError, TooLargeError: See `Downloader.get`.
    """
    fields, _ = parse_quote(quote)
    fmspc = fmspc_of(fields.certificates[0])
    tcb = get.get(f"{base}/tdx/certification/v4/tcb?fmspc={fmspc}")
    identity = get.get(f"{base}/tdx/certification/v4/qe/identity")
    authority = _authority(fields.certificates[1])
    pck = get.get(f"{base}/sgx/certification/v4/pckcrl?ca={authority}&encoding=der")
    root = get.get(f"{certificates}/IntelSGXRootCA.der")
    item = read_tdx_parts(
        TdxParts(
            tcb_info=tcb.body,
            tcb_info_chain=_chain(tcb.headers.get("tcb-info-issuer-chain", "")),
            qe_identity=identity.body,
            qe_identity_chain=_chain(identity.headers.get("sgx-enclave-identity-issuer-chain", "")),
            pck_crl=pck.body,
            pck_crl_chain=_chain(pck.headers.get("sgx-pck-crl-issuer-chain", "")),
            root_crl=root.body,
        )
    )
    if item.name != f"intel-tdx/{fmspc}":
        raise MalformedError("Intel's answer is for another platform.")
    return (item,)


def fetch_keys(address: str, issuer: str, get: Downloader) -> tuple[Item, ...]:
    """Fetch a token issuer's keys. They must be put into the cache as held.

    Args:
        address: Where the key set is, such as `<issuer>/certs` of an Azure Attestation provider.
        issuer: The exact `iss` of its tokens.
        get: Who goes to the network.

    Raises:
        MalformedError, InputError: The answer is not a set of public keys.
        NotFoundError, AppraisalUnavailableError, TooLargeError: See `Downloader.get`.
    """
    return (read_item(get.get(address).body, ItemKind.JWKS, name=issuer),)


def _chain(header: str) -> bytes:
    """Return the PEM that a header carries percent-encoded."""
    if not header:
        raise MalformedError("Intel's answer lacks its issuer chain.")
    return unquote(header).encode("utf-8", "replace")


def _authority(issuer: bytes) -> str:
    """Return Intel's name for the authority that issued a PCK certificate."""
    names = read_certificate(issuer).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    known = {"Intel SGX PCK Platform CA": "platform", "Intel SGX PCK Processor CA": "processor"}
    found = known.get(str(names[0].value)) if len(names) == 1 else None
    if found is None:
        raise MalformedError("the quote's PCK certificate is from an unknown authority.")
    return found
