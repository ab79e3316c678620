"""Evidence of kind `azure-cvm`: a TPM quote, the paravisor's report, and the hardware's vouchers.

JSON in the form in which Azure's open attesters write it, with or without an envelope that names
the platform. Binary members are base64 in either alphabet, padded or not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding

from manatee.attestation._certificates import read_pem_chain
from manatee.errors import MalformedError
from manatee.records import MAX_EVIDENCE_BYTES, Record, parse_json, to_record, unbase64

PCRS = 24
_PLATFORMS = {"amd-sev-snp": "az-snp", "intel-tdx": "az-tdx"}
_PEM = "-----BEGIN CERTIFICATE-----"

HexBytes = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{2}){1,1024}\Z")]
PcrText = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]


class QuoteMembers(Record, frozen=True, kw_only=True):
    """TPMS_ATTEST, the raw RSA signature over it, and the SHA-256 bank from register 0 on."""

    message: HexBytes
    signature: HexBytes
    pcrs: Annotated[tuple[PcrText, ...], msgspec.Meta(max_length=PCRS)]


class EvidenceMembers(Record, frozen=True, kw_only=True):
    """What an attester writes; `vcek` beside SNP, `td_quote` beside TDX."""

    version: Literal[1, 2]
    hcl_report: str
    tpm_quote: QuoteMembers
    vcek: str | None = None
    td_quote: str | None = None


class Envelope(Record, frozen=True, kw_only=True):
    """Evidence with the platform's name."""

    platform: Literal["az-snp", "az-tdx"]
    evidence: EvidenceMembers


@dataclass(frozen=True)
class AzurePayload:
    """Decoded members.

    Attributes:
        hcl_report: The paravisor's report.
        message: TPMS_ATTEST, as signed.
        signature: RSASSA-PKCS1-v1_5, big-endian.
        pcrs: Registers 0 on of the SHA-256 bank.
        vcek: The chip's certificate, DER, or empty.
        td_quote: The TDX quote, or empty.
    """

    hcl_report: bytes
    message: bytes
    signature: bytes
    pcrs: tuple[bytes, ...]
    vcek: bytes
    td_quote: bytes
    platform: str

    def check_hardware(self, hardware: str) -> None:
        """Check that what stands beside the paravisor's report fits it.

        Raises:
            MalformedError: A voucher of the other hardware, no quote for TDX, or another name.
        """
        other = self.td_quote if hardware == "amd-sev-snp" else self.vcek
        if other or self.platform not in ("", _PLATFORMS[hardware]):
            raise MalformedError("Azure evidence mixes SNP and TDX.")
        if hardware == "intel-tdx" and not self.td_quote:
            raise MalformedError("Azure evidence over TDX lacks its quote.")


def read_payload(data: bytes) -> AzurePayload:
    """Read evidence strictly.

    Raises:
        MalformedError, TooLargeError: It is not in one of the two forms.
    """
    value = parse_json(data, max_bytes=MAX_EVIDENCE_BYTES)
    platform = ""
    if isinstance(value, dict) and "platform" in value:
        envelope = to_record(value, Envelope, what="Azure evidence")
        platform, members = envelope.platform, envelope.evidence
    else:
        members = to_record(value, EvidenceMembers, what="Azure evidence")
    return AzurePayload(
        hcl_report=_decode(members.hcl_report),
        message=bytes.fromhex(members.tpm_quote.message),
        signature=bytes.fromhex(members.tpm_quote.signature),
        pcrs=tuple(bytes.fromhex(item) for item in members.tpm_quote.pcrs),
        vcek=_certificate(members.vcek) if members.vcek else b"",
        td_quote=_decode(members.td_quote) if members.td_quote else b"",
        platform=platform,
    )


def _certificate(text: str) -> bytes:
    if not text.startswith(_PEM):
        return _decode(text)
    if not text.isascii():
        raise MalformedError("Azure evidence holds a certificate that is not PEM.")
    return read_pem_chain(text.encode(), at_most=1)[0].public_bytes(Encoding.DER)


def _decode(text: str) -> bytes:
    """Decode base64 of either alphabet, not of both, with all of its padding or none."""
    url, standard = set("-_") & set(text), set("+/") & set(text)
    bare = text.rstrip("=")
    padding = "=" * (-len(bare) % 4)
    if (url and standard) or text not in (bare, bare + padding):
        raise MalformedError("Azure evidence holds something that is not base64.")
    return unbase64(bare.replace("-", "+").replace("_", "/") + padding)
