"""Certificates: what is read is the one DER encoding of it, and a path is built or refused."""

from collections.abc import Iterator
from datetime import UTC, datetime

from cryptography.hazmat.primitives.serialization import Encoding

from manatee.attestation._certificates import build_path, read_certificate, read_pem_chain
from vectors import vector, vectors

AT = datetime(2026, 6, 1, tzinfo=UTC)
ROOT = read_pem_chain(vector("snp/chain-vcek-milan.pem"))[-1]
ROOTS = (ROOT.public_bytes(Encoding.DER),)


def seeds() -> Iterator[bytes]:
    yield b"\x01" + vector("snp/milan-vcek.pem") + vector("snp/chain-vcek-milan.pem")
    for der in vectors("*/*.der"):
        yield b"\x00" + der
    for pem in (*vectors("*/*-root*.pem"), *vectors("snp/chain-*.pem")):
        yield b"\x01" + pem
        yield from (b"\x00" + item.public_bytes(Encoding.DER) for item in read_pem_chain(pem))


def one(data: bytes) -> None:
    if data[:1] == b"\x01":
        leaf, *above = read_pem_chain(data[1:])
    else:
        leaf, above = read_certificate(data[1:]), []
        assert leaf.public_bytes(Encoding.DER) == data[1:]
    build_path(leaf, above, ROOTS, at=AT)
