"""The strict CBOR reader: what it reads has no other encoding, members' order apart."""

from collections.abc import Iterator
from typing import Any

from manatee.attestation._cbor import Tagged, decode, encode_bytes, head
from vectors import vector

SIMPLE = {False: b"\xf4", True: b"\xf5", None: b"\xf6"}


def seeds() -> Iterator[bytes]:
    yield from (b"\x00", b"\x18\x18", b"\x20", b"\x41a", b"\x61a", b"\x80", b"\xa1\x00\xf6")
    yield b"\xd2\x84\x43\xa1\x01\x26\xa0\x41a\x41b"
    yield vector("nitro/doc-2022-11-09.cbor")
    yield vector("cca/emulated-token.cbor")


def encode(value: Any) -> bytes:
    match value:
        case bool() | None:
            return SIMPLE[value]
        case int():
            return head(0, value) if value >= 0 else head(1, -1 - value)
        case bytes():
            return encode_bytes(value)
        case str():
            return head(3, len(value.encode())) + value.encode()
        case list():
            return head(4, len(value)) + b"".join(map(encode, value))
        case dict():
            pairs = (encode(key) + encode(item) for key, item in value.items())
            return head(5, len(value)) + b"".join(pairs)
        case Tagged():
            return head(6, value.tag) + encode(value.value)
    raise AssertionError(type(value))


def one(data: bytes) -> None:
    assert encode(decode(data)) == data
