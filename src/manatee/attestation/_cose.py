"""COSE_Sign1 (RFC 9052, section 4.2): one payload, one signature, its algorithm protected."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from manatee.attestation._cbor import Tagged, Value, decode, encode_bytes, head
from manatee.errors import MalformedError

SIGN1_TAG = 18
_ALGORITHM = 1
_ALGORITHMS: dict[int, tuple[hashes.HashAlgorithm, type[ec.EllipticCurve], int]] = {
    -7: (hashes.SHA256(), ec.SECP256R1, 32),
    -35: (hashes.SHA384(), ec.SECP384R1, 48),
    -36: (hashes.SHA512(), ec.SECP521R1, 66),
}
"""COSE algorithm to hash, curve and bytes of each of the signature's two numbers."""

_ORDERS = {
    -7: int("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", 16),
    -35: int("f" * 48 + "c7634d81f4372ddf581a0db248b0a77aecec196accc52973", 16),
    -36: int(
        "1" + "f" * 65 + "a51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409", 16
    ),
}
"""Order of each algorithm's curve (FIPS 186-5, SP 800-186)."""


@dataclass(frozen=True)
class Sign1:
    """A COSE_Sign1, read but not verified; `r` and `s` are the signature's numbers."""

    algorithm: int
    protected: bytes
    payload: bytes
    r: int
    s: int

    def signed_bytes(self) -> bytes:
        """Return the Sig_structure that the signature covers."""
        context = b"Signature1"
        return (
            head(4, 4)
            + head(3, len(context))
            + context
            + encode_bytes(self.protected)
            + encode_bytes(b"")
            + encode_bytes(self.payload)
        )


def read_sign1(data: bytes, *, algorithms: tuple[int, ...], tagged: bool | None = None) -> Sign1:
    """Read a COSE_Sign1 strictly.

    Args:
        data: Its bytes.
        algorithms: Which may stand in the protected header; nothing else may stand there.
        tagged: Whether tag 18 must be there; None: it may.

    Raises:
        MalformedError: It is not one, names another algorithm, or has anything in its
            unprotected header, where nothing is signed.
    """
    value: Value = decode(data)
    if isinstance(value, Tagged):
        if tagged is False or value.tag != SIGN1_TAG:
            raise MalformedError("the COSE signature has an unexpected tag.")
        value = value.value
    elif tagged:
        raise MalformedError("the COSE signature lacks its tag.")
    if not isinstance(value, list) or len(value) != 4:
        raise MalformedError("a COSE_Sign1 has four parts.")
    protected, unprotected, payload, signature = value
    if not (
        isinstance(protected, bytes) and isinstance(payload, bytes) and isinstance(signature, bytes)
    ):
        raise MalformedError("a COSE_Sign1's header, payload and signature must be bytes.")
    if unprotected != {}:
        raise MalformedError("a COSE_Sign1 must have nothing in its unprotected header.")
    headers = decode(protected)
    if not isinstance(headers, dict) or set(headers) != {_ALGORITHM}:
        raise MalformedError("a COSE_Sign1's protected header must name its algorithm alone.")
    algorithm = headers[_ALGORITHM]
    if not isinstance(algorithm, int) or algorithm not in algorithms:
        raise MalformedError("the COSE signature's algorithm is not the one expected.")
    r, s = _numbers(signature, algorithm)
    return Sign1(algorithm, protected, payload, r, s)


def _numbers(signature: bytes, algorithm: int) -> tuple[int, int]:
    """Return r and s (RFC 9053, section 2.1), each from 1 to below the curve's order."""
    size = _ALGORITHMS[algorithm][2]
    if len(signature) != 2 * size:
        raise MalformedError("the COSE signature has the wrong length.")
    r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
    if not (0 < r < _ORDERS[algorithm] and 0 < s < _ORDERS[algorithm]):
        raise MalformedError("the COSE signature has a number out of range.")
    return r, s


def signature_holds(sign1: Sign1, key: object) -> bool:
    """Whether the signature is by a key, of the very curve its algorithm names."""
    algorithm, curve, _ = _ALGORITHMS[sign1.algorithm]
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, curve):
        return False
    encoded = encode_dss_signature(sign1.r, sign1.s)
    try:
        key.verify(encoded, sign1.signed_bytes(), ec.ECDSA(algorithm))
    except InvalidSignature:
        return False
    return True
