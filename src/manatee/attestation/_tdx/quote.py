"""TDX quotes, versions 4 and 5 (Intel, TDX DCAP Quoting Library API, "Quote Layout").

Every length in a quote must fit exactly; only zero bytes may follow. A quote has several encodings
all the same (its certificates are text), so no hash of a whole quote names anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from manatee.attestation._cursor import Cursor
from manatee.errors import MalformedError
from manatee.records import to_base64, unbase64

MAX_QUOTE_BYTES = 32 << 10
MAX_PADDING_BYTES = 4096

_ECDSA_P256 = 2
_TEE_TDX = 0x81
_INTEL_QE = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
_BODY_TD_1_0 = 2
_BODY_TD_1_5 = 3
_TD_1_0_BYTES = 584
_TD_1_5_BYTES = 648
_CERTIFIED_BY_QE_REPORT = 6
_PCK_CHAIN = 5
_PEM_BEGIN = b"-----BEGIN CERTIFICATE-----"
_PEM_END = b"-----END CERTIFICATE-----"
_FMSPC = bytes.fromhex("060a2a864886f84d010d01040406")
"""DER of the object identifier 1.2.840.113741.1.13.1.4, and the start of six octets after it."""

ATTRIBUTES_UNDER_DEBUG = 0xFF
"""Bits 0 to 7: a TD with any of them set is open to its host."""

ATTRIBUTES_SEPT_VE_DISABLE = 1 << 28
ATTRIBUTES_MIGRATABLE = 1 << 29
_ATTRIBUTES_KNOWN = (
    ATTRIBUTES_UNDER_DEBUG
    | 1 << 27  # linear address space separation
    | ATTRIBUTES_SEPT_VE_DISABLE
    | ATTRIBUTES_MIGRATABLE
    | 1 << 30  # supervisor protection keys
    | 1 << 31  # key locker
    | 1 << 63  # performance counters
)


@dataclass(frozen=True)
class TdQuote:
    """The fields of a quote's TD report, and what signs it."""

    version: int
    tee_tcb_svn: bytes
    mr_seam: bytes
    mr_signer_seam: bytes
    seam_attributes: bytes
    td_attributes: int
    xfam: bytes
    mr_td: bytes
    mr_config_id: bytes
    mr_owner: bytes
    mr_owner_config: bytes
    rtmrs: tuple[bytes, bytes, bytes, bytes]
    report_data: bytes
    mr_service_td: bytes
    qe_svn: int
    certificates: tuple[bytes, ...]

    @property
    def debug(self) -> bool:
        """Whether the host may look into the TD."""
        return bool(self.td_attributes & ATTRIBUTES_UNDER_DEBUG)

    @property
    def migration(self) -> bool:
        """Whether the TD may be moved, or a service TD is bound to it."""
        return bool(self.td_attributes & ATTRIBUTES_MIGRATABLE) or any(self.mr_service_td)

    @property
    def unknown_attributes(self) -> bool:
        """Whether attribute bits are set that this code does not know."""
        return bool(self.td_attributes & ~_ATTRIBUTES_KNOWN)


def parse_quote(data: bytes) -> tuple[TdQuote, bytes]:
    """Read a quote strictly, verifying no signature.

    Returns:
        The quote's fields, and its bytes without the zero padding.

    Raises:
        MalformedError: It is not a TDX quote of version 4 or 5 by Intel's quoting enclave.
    """
    if len(data) > MAX_QUOTE_BYTES:
        raise MalformedError(f"a TDX quote has at most {MAX_QUOTE_BYTES} bytes.")
    cursor = Cursor(data, "TDX quote")
    version = cursor.number(2)
    if version not in (4, 5):
        raise MalformedError("the quote's version must be 4 or 5.")
    if cursor.number(2) != _ECDSA_P256 or cursor.number(4) != _TEE_TDX:
        raise MalformedError("the quote is not a TDX quote signed with ECDSA P-256.")
    cursor.take(4)  # reserved, and used differently by versions of the quoting library
    if cursor.take(16) != _INTEL_QE:
        raise MalformedError("the quote is not by Intel's quoting enclave.")
    cursor.take(20)  # user data
    body = Cursor(cursor.take(_body_length(version, cursor)), "TD report")
    fields = _read_body(body)
    signature = Cursor(cursor.sized(4, big=False, at_most=MAX_QUOTE_BYTES), "TDX quote signature")
    padding = cursor.rest()
    if any(padding) or len(padding) > MAX_PADDING_BYTES:
        raise MalformedError("bytes other than zero padding follow the quote.")
    qe_svn, certificates = _read_signature(signature)
    quote = TdQuote(version=version, qe_svn=qe_svn, certificates=certificates, **fields)
    return quote, data[: len(data) - len(padding)]


def _body_length(version: int, cursor: Cursor) -> int:
    if version == 4:
        return _TD_1_0_BYTES
    kind, length = cursor.number(2), cursor.number(4)
    known = {_BODY_TD_1_0: _TD_1_0_BYTES, _BODY_TD_1_5: _TD_1_5_BYTES}
    if known.get(kind) != length:
        raise MalformedError("the quote's body is not a TD report 1.0 or 1.5.")
    return length


def _read_body(body: Cursor) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "tee_tcb_svn": body.take(16),
        "mr_seam": body.take(48),
        "mr_signer_seam": body.take(48),
        "seam_attributes": body.take(8),
        "td_attributes": body.number(8),
        "xfam": body.take(8),
        "mr_td": body.take(48),
        "mr_config_id": body.take(48),
        "mr_owner": body.take(48),
        "mr_owner_config": body.take(48),
        "rtmrs": (body.take(48), body.take(48), body.take(48), body.take(48)),
        "report_data": body.take(64),
        "mr_service_td": b"",
    }
    if body.left:
        body.take(16)  # TCB SVNs of the module that runs now, from report 1.5 on
        fields["mr_service_td"] = body.take(48)
    body.end()
    return fields


def _read_signature(cursor: Cursor) -> tuple[int, tuple[bytes, ...]]:
    """Read the signature data; return the quoting enclave's version and the PCK chain, DER."""
    cursor.take(64 + 64)  # signature over header and body, and the attestation key
    if cursor.number(2) != _CERTIFIED_BY_QE_REPORT:
        raise MalformedError("the quote's attestation key is not certified by a QE report.")
    certification = Cursor(cursor.sized(4, big=False, at_most=MAX_QUOTE_BYTES), "QE certification")
    cursor.end()
    report = certification.take(384)
    if any(report[352:384]):
        raise MalformedError("the QE report's data has bytes after the hash it holds.")
    certification.take(64)  # signature over the QE report
    certification.sized(2, big=False, at_most=1024)  # authentication data, hashed in the report
    if certification.number(2) != _PCK_CHAIN:
        raise MalformedError("the quote does not carry its PCK certificate chain.")
    pem = certification.sized(4, big=False, at_most=MAX_QUOTE_BYTES)
    certification.end()
    qe_svn = int.from_bytes(report[258:260], "little")
    return qe_svn, _read_chain(pem)


def _read_chain(pem: bytes) -> tuple[bytes, ...]:
    """Return the DER of exactly three certificates in the one PEM encoding that is accepted.

    What is in them, and their path, is the verifying library's to check; the last must be pinned.
    """
    parts = [part.strip(b"\n") for part in pem.rstrip(b"\n\0").split(_PEM_END)]
    if len(parts) != 4 or parts[3] or not all(part.startswith(_PEM_BEGIN) for part in parts[:3]):
        raise MalformedError("the PCK chain is not three certificates and nothing else.")
    chain = []
    for part in parts[:3]:
        lines = part[len(_PEM_BEGIN) :].split(b"\n")[1:]
        try:
            der = unbase64(b"".join(lines).decode("ascii"))
        except UnicodeDecodeError as error:
            raise MalformedError("the PCK chain is not PEM.") from error
        if part != _PEM_BEGIN + b"\n" + b"\n".join(_wrapped(to_base64(der).encode())):
            raise MalformedError("the PCK chain is not in the one PEM encoding it has.")
        chain.append(der)
    return tuple(chain)


def _wrapped(text: bytes) -> list[bytes]:
    return [text[at : at + 64] for at in range(0, len(text), 64)]


def fmspc_of(pck_certificate: bytes) -> str:
    """Return the FMSPC that a platform's certificate names, lower-case hexadecimal.

    For finding collateral. The library takes the certificate apart and holds its FMSPC against the
    collateral's; here it is enough that there is exactly one.

    Raises:
        MalformedError: The certificate names none, or several.
    """
    before, found, after = pck_certificate.partition(_FMSPC)
    if not found or len(after) < 6 or _FMSPC in before + after:
        raise MalformedError("the quote's PCK certificate does not name one platform.")
    return after[:6].hex()
