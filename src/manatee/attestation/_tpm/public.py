"""TPMT_PUBLIC and TPMT_SIGNATURE (TCG, TPM 2.0 Library, Part 2: 12.2.4, 11.3.4)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from manatee.attestation._cursor import Cursor
from manatee.errors import MalformedError

RSA = 0x0001
ECC = 0x0023
NULL = 0x0010
AES = 0x0006
CFB = 0x0043
RSASSA = 0x0014
ECDSA = 0x0018
HASHES: dict[int, hashes.HashAlgorithm] = {
    0x000B: hashes.SHA256(),
    0x000C: hashes.SHA384(),
}
CURVES: dict[int, ec.EllipticCurve] = {0x0003: ec.SECP256R1(), 0x0004: ec.SECP384R1()}
ORDERS = {
    "secp256r1": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "secp384r1": int(
        "ffffffffffffffffffffffffffffffffffffffffffffffff"
        "c7634d81f4372ddf581a0db248b0a77aecec196accc52973",
        16,
    ),
}
"""Orders of the curves' groups (FIPS 186-5, appendix G)."""

FIXED_TPM = 1 << 1
FIXED_PARENT = 1 << 4
SENSITIVE_DATA_ORIGIN = 1 << 5
RESTRICTED = 1 << 16
DECRYPT = 1 << 17
SIGN = 1 << 18
STORAGE_KEY = FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN | RESTRICTED | DECRYPT
ATTESTATION_KEY = FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN | RESTRICTED | SIGN

_KNOWN_ATTRIBUTES = 0x000F0FF6
"""Bits of TPMA_OBJECT that mean something (Part 2, 8.3.2), `x509sign` included."""

MAX_PUBLIC_BYTES = 1024
MAX_SIGNATURE_BYTES = 1024
_MAX_NUMBER_BYTES = 512

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


@dataclass(frozen=True)
class TpmPublic:
    """A TPM key's public area: the key, and what the TPM promises about it.

    Attributes:
        key: The public key.
        attributes: TPMA_OBJECT.
        name: Name algorithm and digest of the public area: what credentials are made out to.
        name_algorithm: The hash in the name, and in what is derived for the key.
        symmetric_bits: Key size of a storage key's AES in CFB mode; 0 for other keys.
        scheme: The one signature scheme and hash the key is for, or None.
    """

    key: PublicKey
    attributes: int
    name: bytes
    name_algorithm: int
    symmetric_bits: int
    scheme: tuple[int, int] | None

    @property
    def is_attestation_key(self) -> bool:
        """Whether the TPM made it, keeps it, and signs with it only what it made itself."""
        wanted = self.attributes & ATTESTATION_KEY == ATTESTATION_KEY
        return wanted and not self.attributes & DECRYPT and self.scheme is not None

    @property
    def is_storage_key(self) -> bool:
        """Whether the TPM made it, keeps it, and opens with it only what it protects itself."""
        wanted = self.attributes & STORAGE_KEY == STORAGE_KEY
        return wanted and not self.attributes & SIGN and self.symmetric_bits > 0


def parse_public(data: bytes) -> TpmPublic:
    """Read a TPMT_PUBLIC strictly.

    Raises:
        MalformedError: It is none, or of a kind that no attestation or endorsement key has.
    """
    if len(data) > MAX_PUBLIC_BYTES:
        raise MalformedError(f"a TPM public area has at most {MAX_PUBLIC_BYTES} bytes.")
    cursor = Cursor(data, "TPM public area")
    kind = cursor.number(2, big=True)
    name_algorithm = cursor.number(2, big=True)
    attributes = cursor.number(4, big=True)
    if attributes & ~_KNOWN_ATTRIBUTES:
        raise MalformedError("the TPM key has attributes that nobody knows.")
    cursor.sized(2, big=True, at_most=64)  # authorization policy
    symmetric_bits = _symmetric(cursor)
    scheme = _scheme(cursor)
    try:
        key: PublicKey = _rsa(cursor) if kind == RSA else _ecc(cursor, kind)
    except ValueError as error:
        raise MalformedError("the TPM's public key is not one.") from error
    cursor.end()
    if name_algorithm not in HASHES:
        raise MalformedError("the TPM key's name is made with an unknown hash.")
    digest = hashlib.new(HASHES[name_algorithm].name, data).digest()
    name = name_algorithm.to_bytes(2, "big") + digest
    return TpmPublic(key, attributes, name, name_algorithm, symmetric_bits, scheme)


def _symmetric(cursor: Cursor) -> int:
    """Read TPMT_SYM_DEF_OBJECT; return the bits of an AES key, or 0."""
    algorithm = cursor.number(2, big=True)
    if algorithm == NULL:
        return 0
    bits, mode = cursor.number(2, big=True), cursor.number(2, big=True)
    if algorithm != AES or bits not in (128, 256) or mode != CFB:
        raise MalformedError("the TPM storage key's cipher is not AES in CFB mode.")
    return bits


def _scheme(cursor: Cursor) -> tuple[int, int] | None:
    """Read TPMT_ASYM_SCHEME of a key that signs; return scheme and hash, or None."""
    scheme = cursor.number(2, big=True)
    if scheme == NULL:
        return None
    algorithm = cursor.number(2, big=True)
    if scheme not in (RSASSA, ECDSA) or algorithm not in HASHES:
        raise MalformedError("the TPM key's scheme is not RSASSA or ECDSA with SHA-256 or SHA-384.")
    return scheme, algorithm


def _rsa(cursor: Cursor) -> rsa.RSAPublicKey:
    bits = cursor.number(2, big=True)
    exponent = cursor.number(4, big=True) or 65537
    modulus = cursor.sized(2, big=True, at_most=_MAX_NUMBER_BYTES)
    number = int.from_bytes(modulus, "big")
    if bits not in (2048, 3072, 4096) or number.bit_length() != bits or exponent != 65537:
        raise MalformedError("the TPM's RSA key must have 2048 to 4096 bits and exponent 65537.")
    return rsa.RSAPublicNumbers(exponent, number).public_key()


def _ecc(cursor: Cursor, kind: int) -> ec.EllipticCurvePublicKey:
    if kind != ECC:
        raise MalformedError("the TPM's key is neither RSA nor ECC.")
    curve = CURVES.get(cursor.number(2, big=True))
    if curve is None or cursor.number(2, big=True) != NULL:
        raise MalformedError("the TPM's key is on an unknown curve, or has a key derivation.")
    x, y = (cursor.sized(2, big=True, at_most=_MAX_NUMBER_BYTES) for _ in range(2))
    return ec.EllipticCurvePublicNumbers(
        int.from_bytes(x, "big"), int.from_bytes(y, "big"), curve
    ).public_key()


@dataclass(frozen=True)
class TpmSignature:
    """A TPMT_SIGNATURE's scheme, hash and numbers."""

    scheme: tuple[int, int]
    numbers: tuple[bytes, ...]

    @property
    def hash_name(self) -> str:
        """Hash of the message; a quote's digest over registers is made with it too."""
        return HASHES[self.scheme[1]].name

    def holds(self, key: PublicKey, message: bytes) -> bool:
        """Whether this key made the signature over this message.

        Raises:
            MalformedError: A number of an ECDSA signature is zero or not below the order.
        """
        algorithm = HASHES[self.scheme[1]]
        try:
            if isinstance(key, rsa.RSAPublicKey) and self.scheme[0] == RSASSA:
                key.verify(self.numbers[0], message, padding.PKCS1v15(), algorithm)
                return True
            if isinstance(key, ec.EllipticCurvePublicKey) and self.scheme[0] == ECDSA:
                r, s = (int.from_bytes(number, "big") for number in self.numbers)
                if not (0 < r < ORDERS[key.curve.name] and 0 < s < ORDERS[key.curve.name]):
                    raise MalformedError("the TPM's signature has a number out of range.")
                key.verify(encode_dss_signature(r, s), message, ec.ECDSA(algorithm))
                return True
        except InvalidSignature:
            return False
        return False


def parse_signature(data: bytes) -> TpmSignature:
    """Read a TPMT_SIGNATURE strictly.

    Raises:
        MalformedError: It is not one, or of another scheme or hash than ours.
    """
    if len(data) > MAX_SIGNATURE_BYTES:
        raise MalformedError(f"a TPM signature has at most {MAX_SIGNATURE_BYTES} bytes.")
    cursor = Cursor(data, "TPM signature")
    scheme, algorithm = cursor.number(2, big=True), cursor.number(2, big=True)
    if scheme not in (RSASSA, ECDSA) or algorithm not in HASHES:
        raise MalformedError("the TPM's signature must be RSASSA or ECDSA with SHA-256 or SHA-384.")
    count = 1 if scheme == RSASSA else 2
    numbers = tuple(cursor.sized(2, big=True, at_most=_MAX_NUMBER_BYTES) for _ in range(count))
    cursor.end()
    return TpmSignature((scheme, algorithm), numbers)
