"""Keys of CCA: the realm's own, which its platform vouches for, and pinned platforms'."""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from manatee.attestation._cbor import bytes_of, decode
from manatee.errors import MalformedError

_ELLIPTIC = 2
_CURVES: dict[int, ec.EllipticCurve] = {
    1: ec.SECP256R1(),
    2: ec.SECP384R1(),
    3: ec.SECP521R1(),
}
_POINTS = {65: 1, 97: 2, 133: 3}
"""Bytes of an uncompressed point to its curve's COSE number."""


def realm_key(encoded: bytes) -> ec.EllipticCurvePublicKey:
    """Return the realm's key: a bare point (the first profile), or a COSE_Key (RFC 9053, 7.1.1).

    Raises:
        MalformedError: It is neither, or no point of its curve.
    """
    if len(encoded) in _POINTS and encoded[0] == 4:
        point, number = encoded, _POINTS[len(encoded)]
    else:
        fields = decode(encoded)
        if not isinstance(fields, dict) or fields.get(1) != _ELLIPTIC:
            raise MalformedError("the realm's key is no elliptic curve key.")
        found = fields.get(-1)
        if not isinstance(found, int) or isinstance(found, bool) or found not in _CURVES:
            raise MalformedError("the realm's key is on an unknown curve.")
        number = found
        size = (_CURVES[number].key_size + 7) // 8
        x, y = (bytes_of(fields.get(name), "the realm's key", sizes=(size,)) for name in (-2, -3))
        point = b"\4" + x + y
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[number], point)
    except ValueError as error:
        raise MalformedError("the realm's key is no point of its curve.") from error


def pinned_key(encoded: bytes) -> ec.EllipticCurvePublicKey:
    """Return a platform's key that the relying party pinned.

    Raises:
        MalformedError: It is no DER SubjectPublicKeyInfo of an elliptic curve key.
    """
    try:
        key = load_der_public_key(encoded)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise MalformedError("a pinned platform key cannot be read.") from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise MalformedError("a pinned platform key is no elliptic curve key.")
    return key
