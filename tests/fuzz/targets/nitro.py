"""AWS Nitro attestation documents: read, then appraised against conditions nothing meets."""

from collections.abc import Iterator

from appraising import look

from manatee.attestation._nitro.document import parse_document
from manatee.attestation._nitro.verifier import MEDIA_TYPE
from vectors import vectors


def seeds() -> Iterator[bytes]:
    yield from vectors("nitro/*.cbor")


def one(data: bytes) -> None:
    document, _ = parse_document(data)
    assert document.issued_at.tzinfo is not None
    look(MEDIA_TYPE, data)
