"""Arm CCA tokens as they come, each of their two claims sets wrapped here, and the realm's key."""

from collections.abc import Iterator

from appraising import look

from manatee.attestation._cbor import encode_bytes, head
from manatee.attestation._cca.keys import realm_key
from manatee.attestation._cca.token import parse_token
from manatee.attestation._cca.verifier import MEDIA_TYPE
from manatee.errors import MalformedError
from vectors import vector

TOKEN = vector("cca/emulated-token.cbor")
WHOLE = parse_token(TOKEN)


def collection(platform: bytes, realm: bytes) -> bytes:
    found = b"\xd9\x01\x8f\xa2"
    for key, claims in ((44234, platform), (44241, realm)):
        sign1 = (
            b"\xd2\x84\x44\xa1\x01\x38\x22\xa0" + encode_bytes(claims) + b"\x58\x60" + b"\1" * 96
        )
        found += head(0, key) + encode_bytes(sign1)
    return found


def seeds() -> Iterator[bytes]:
    yield b"\x00" + TOKEN
    yield b"\x01" + WHOLE.realm_key
    yield b"\x02" + WHOLE.platform.payload
    yield b"\x03" + WHOLE.realm.payload


def one(data: bytes) -> None:
    kind, rest = data[:1], data[1:]
    match kind:
        case b"\x00":
            token = rest
        case b"\x01":
            realm_key(rest)
            return
        case b"\x02":
            token = collection(rest, WHOLE.realm.payload)
        case b"\x03":
            token = collection(WHOLE.platform.payload, rest)
        case _:
            raise MalformedError("no such choice.")
    parse_token(token)
    look(MEDIA_TYPE, token)
