"""AWS Nitro attestation documents, as they come or wrapped here, then appraised: none accepted."""

from collections.abc import Iterator

from appraising import look

from manatee.attestation._cbor import encode_bytes
from manatee.attestation._cose import read_sign1
from manatee.attestation._nitro.document import parse_document
from manatee.attestation._nitro.verifier import MEDIA_TYPE
from vectors import vectors


def wrapped(payload: bytes) -> bytes:
    """Return a COSE_Sign1 whose payload the fuzzer need not measure."""
    return b"\x84\x44\xa1\x01\x38\x22\xa0" + encode_bytes(payload) + b"\x58\x60" + b"\1" * 96


def seeds() -> Iterator[bytes]:
    for document in vectors("nitro/*.cbor"):
        yield b"\x00" + document
        yield b"\x01" + read_sign1(document, algorithms=(-35,)).payload


def one(data: bytes) -> None:
    whole = wrapped(data[1:]) if data[:1] == b"\x01" else data[1:]
    document, _ = parse_document(whole)
    assert document.issued_at.tzinfo is not None
    look(MEDIA_TYPE, whole)
