"""Strict CBOR: what generic readers let pass is refused, in bounded time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manatee.attestation._cbor import Tagged, decode, encode_bytes, head
from manatee.attestation._cose import read_sign1
from manatee.errors import MalformedError


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("00", 0),
        ("17", 23),
        ("1818", 24),
        ("1903e8", 1000),
        ("1bffffffffffffffff", 2**64 - 1),
        ("20", -1),
        ("3863", -100),
        ("40", b""),
        ("4401020304", b"\1\2\3\4"),
        ("60", ""),
        ("62c3bc", "ü"),
        ("80", []),
        ("83010203", [1, 2, 3]),
        ("a0", {}),
        ("a201020304", {1: 2, 3: 4}),
        ("a26161016162820203", {"a": 1, "b": [2, 3]}),
        ("c249010000000000000000", Tagged(2, b"\1" + bytes(8))),
        ("f4", False),
        ("f5", True),
        ("f6", None),
    ],
)
def test_examples_of_the_standard(data: str, value: object) -> None:
    assert decode(bytes.fromhex(data)) == value


@pytest.mark.parametrize(
    "data",
    [
        "",
        "1817",  # not the shortest form
        "1900ff",
        "1a0000ffff",
        "1b00000000ffffffff",
        "5801",  # ends early
        "5bffffffffffffffff",  # length bomb
        "5b4000000000000000",
        "9bffffffffffffffff",
        "bbffffffffffffffff",
        "9a00010000" + "00" * 10,
        "5f42010243030405ff",  # indefinite
        "7f657374726561646d696e67ff",
        "9fff",
        "bf6161019fff",
        "ff",
        "1c",  # reserved
        "f93c00",  # floats
        "fa47c35000",
        "fb3ff199999999999a",
        "f7",  # undefined
        "f0",
        "f818",
        "a201020102",  # the same key twice
        "a1400140",  # a key of bytes
        "a1f501",  # a key that is true
        "a1800a",
        "62c328",  # not UTF-8
        "0000",  # leftovers
        "81" * 9 + "00",  # nesting
        "81" * 5000 + "00",
        "c1" * 5000 + "00",
    ],
)
def test_what_strict_cbor_is_not(data: str) -> None:
    with pytest.raises(MalformedError):
        decode(bytes.fromhex(data))


def test_a_megabyte_is_not_read() -> None:
    with pytest.raises(MalformedError, match="at most"):
        decode(b"\x5a\x00\x0f\xff\xfb" + bytes(1 << 20))
    with pytest.raises(MalformedError, match="more items"):
        decode(b"\x99\x10\x00" + bytes(4096))
    half = b"\x99\x05\x00" + bytes(0x500)
    assert decode(b"\x81" + half) == [[0] * 0x500]
    with pytest.raises(MalformedError, match="too many items"):
        decode(b"\x82" + half * 2)


@given(st.binary(max_size=300))
def test_random_bytes_give_a_value_or_our_error(data: bytes) -> None:
    try:
        decode(data)
    except MalformedError:
        return


@given(st.binary(max_size=400))
def test_random_bytes_are_no_cose_signature(data: bytes) -> None:
    with pytest.raises(MalformedError):
        read_sign1(data, algorithms=(-35,))


@given(st.binary(max_size=70_000))
def test_byte_strings_come_back(data: bytes) -> None:
    if len(data) < 60_000:
        assert decode(encode_bytes(data)) == data


@pytest.mark.parametrize("value", [0, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**64 - 1])
def test_heads_are_shortest(value: int) -> None:
    assert decode(head(0, value)) == value
