"""COSE_Sign1: read, then verified under a key of each curve."""

from collections.abc import Iterator

from cryptography.hazmat.primitives.asymmetric import ec

from manatee.attestation._cbor import decode
from manatee.attestation._cose import read_sign1, signature_holds
from vectors import vector

KEYS = tuple(
    ec.derive_private_key(5, curve).public_key()
    for curve in (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1())
)


def seeds() -> Iterator[bytes]:
    yield vector("nitro/doc-2022-11-09.cbor")
    token = decode(vector("cca/emulated-token.cbor"))
    yield from token.value.values()  # type: ignore[union-attr]
    yield b"\x84\x43\xa1\x01\x26\xa0\x41a\x58\x40" + bytes(64)


def one(data: bytes) -> None:
    sign1 = read_sign1(data, algorithms=(-7, -35, -36))
    assert not any(signature_holds(sign1, key) for key in KEYS)
