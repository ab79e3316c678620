"""Arm CCA tokens and the realm's key in them."""

from collections.abc import Iterator

from appraising import look

from manatee.attestation._cca.keys import realm_key
from manatee.attestation._cca.token import parse_token
from manatee.attestation._cca.verifier import MEDIA_TYPE
from vectors import vectors


def seeds() -> Iterator[bytes]:
    for token in vectors("cca/*.cbor"):
        yield b"\x00" + token
        yield b"\x01" + parse_token(token).realm_key


def one(data: bytes) -> None:
    if data[:1] == b"\x01":
        realm_key(data[1:])
    else:
        parse_token(data[1:])
        look(MEDIA_TYPE, data[1:])
