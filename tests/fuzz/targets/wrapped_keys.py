"""Wrapped data keys: what is read has no other encoding."""

from collections.abc import Iterator

from manatee.custody._blob import WrappedBlob, pack_blob, parse_blob


def seeds() -> Iterator[bytes]:
    yield pack_blob(WrappedBlob("age", "first", b"sealed"))
    yield pack_blob(WrappedBlob("aws-kms", "k" * 63, bytes(600)))


def one(data: bytes) -> None:
    assert pack_blob(parse_blob(data)) == data
