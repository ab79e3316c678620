"""The attestation document (AWS, Nitro Enclaves SDK, "Attestation process", section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from manatee.attestation._cbor import Value, bytes_of, decode
from manatee.attestation._cose import Sign1, read_sign1
from manatee.errors import MalformedError

ES384 = -35
MAX_DOCUMENT_CERTIFICATE_BYTES = 1024
MAX_USER_DATA_BYTES = 512
MAX_NONCE_BYTES = 512
MAX_PUBLIC_KEY_BYTES = 1024
MAX_PCRS = 32
MAX_BUNDLE = 8
PCR_BYTES = 48
_LATEST_MILLISECONDS = 253_402_300_799_000
"""End of the year 9999, in milliseconds since the epoch."""

_REQUIRED = {"module_id", "timestamp", "digest", "pcrs", "certificate", "cabundle"}
_OPTIONAL = {"public_key", "user_data", "nonce"}


@dataclass(frozen=True)
class NitroDocument:
    """The document's fields. Absent user data, nonce and key are empty.

    Attributes:
        authorities: Certificates above the leaf, root first, DER.
    """

    module_id: str
    issued_at: datetime
    pcrs: dict[int, bytes]
    certificate: bytes
    authorities: tuple[bytes, ...]
    public_key: bytes
    user_data: bytes
    nonce: bytes

    @property
    def debug(self) -> bool:
        """Whether the enclave runs in debug mode: then its first registers are zero."""
        return any(not any(self.pcrs.get(index, b"")) for index in (0, 1, 2))


def parse_document(data: bytes) -> tuple[NitroDocument, Sign1]:
    """Read a document strictly, verifying nothing.

    Raises:
        MalformedError: It is not one.
    """
    sign1 = read_sign1(data, algorithms=(ES384,))
    fields = decode(sign1.payload)
    if not isinstance(fields, dict) or not _REQUIRED <= set(fields) <= _REQUIRED | _OPTIONAL:
        raise MalformedError("a Nitro document lacks a member or has an unknown one.")
    if fields["digest"] != "SHA384":
        raise MalformedError("a Nitro document's registers must be SHA384.")
    module_id = fields["module_id"]
    if not isinstance(module_id, str) or not 0 < len(module_id) <= 200:
        raise MalformedError("a Nitro document lacks its module's name.")
    document = NitroDocument(
        module_id=module_id,
        issued_at=_moment(fields["timestamp"]),
        pcrs=_pcrs(fields["pcrs"]),
        certificate=_certificate(fields["certificate"]),
        authorities=_bundle(fields["cabundle"]),
        public_key=_optional(fields, "public_key", MAX_PUBLIC_KEY_BYTES),
        user_data=_optional(fields, "user_data", MAX_USER_DATA_BYTES),
        nonce=_optional(fields, "nonce", MAX_NONCE_BYTES),
    )
    return document, sign1


def _moment(value: Value) -> datetime:
    if not isinstance(value, int) or isinstance(value, bool):
        raise MalformedError("a Nitro document's time must be a number.")
    if not 0 < value <= _LATEST_MILLISECONDS:
        raise MalformedError("a Nitro document's time is impossible.")
    return datetime.fromtimestamp(value / 1000, UTC)


def _pcrs(value: Value) -> dict[int, bytes]:
    if not isinstance(value, dict) or not 0 < len(value) <= MAX_PCRS:
        raise MalformedError("a Nitro document must have 1 to 32 registers.")
    found: dict[int, bytes] = {}
    for index, register in value.items():
        if not isinstance(index, int) or not 0 <= index < MAX_PCRS:
            raise MalformedError("a Nitro register's index must be 0 to 31.")
        found[index] = bytes_of(register, "a Nitro register", sizes=(PCR_BYTES,))
    return dict(sorted(found.items()))


def _bundle(value: Value) -> tuple[bytes, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_BUNDLE:
        raise MalformedError(f"a Nitro document's bundle must hold 1 to {MAX_BUNDLE} certificates.")
    return tuple(_certificate(item) for item in value)


def _certificate(value: Value) -> bytes:
    what = "a certificate of a Nitro document"
    return bytes_of(value, what, at_most=MAX_DOCUMENT_CERTIFICATE_BYTES)


def _optional(fields: dict[int | str, Value], name: str, at_most: int) -> bytes:
    value = fields.get(name)
    return b"" if value is None else bytes_of(value, f"a Nitro document's {name}", at_most=at_most)
