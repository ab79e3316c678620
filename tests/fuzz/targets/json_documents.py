"""Strict JSON: what is read can be written, and reads back as the same."""

from collections.abc import Iterator

from manatee.records import canonical_json, parse_json
from vectors import vectors


def seeds() -> Iterator[bytes]:
    yield from (
        b"{}",
        b"[1,2.5e3,-0,null,true]",
        b'{"a":{"b":["\\ud83d\\ude00\\n"]}}',
        b'"\\u0000"',
    )
    yield from (data for data in vectors("*/*.json") if len(data) < 4096)


def one(data: bytes) -> None:
    value = parse_json(data)
    written = canonical_json(value)
    assert parse_json(written, max_bytes=64 << 20) == value
