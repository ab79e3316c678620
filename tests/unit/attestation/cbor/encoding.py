"""A plain CBOR writer, for forging."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from manatee.attestation._cbor import Tagged, head


def encode(value: Any) -> bytes:
    if isinstance(value, Tagged):
        return head(6, value.tag) + encode(value.value)
    if isinstance(value, bool) or value is None:
        return {False: b"\xf4", True: b"\xf5", None: b"\xf6"}[value]
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(encode, value))
    pairs = value.items() if isinstance(value, dict) else value
    return head(5, len(pairs)) + b"".join(encode(key) + encode(item) for key, item in pairs)


def sign1(
    payload: bytes,
    key: ec.EllipticCurvePrivateKey,
    *,
    protected: Any = None,
    unprotected: Any = None,
    tag: int | None = None,
) -> bytes:
    """Sign a payload as COSE_Sign1 with ES384 (or ES256 for a P-256 key)."""
    wide = key.curve.key_size == 384
    header = encode({1: -35 if wide else -7} if protected is None else protected)
    signed = encode(["Signature1", header, b"", payload])
    algorithm = hashes.SHA384() if wide else hashes.SHA256()
    r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(algorithm)))
    size = key.curve.key_size // 8
    signature = r.to_bytes(size, "big") + s.to_bytes(size, "big")
    whole: Any = [header, {} if unprotected is None else unprotected, payload, signature]
    return encode(whole if tag is None else Tagged(tag, whole))
