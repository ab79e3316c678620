"""The frame of a wrapped key: one encoding, and no other bytes are read as one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manatee.custody._blob import (
    MAX_WRAPPED_BYTES,
    WrappedBlob,
    binding_of,
    pack_blob,
    parse_blob,
)
from manatee.custody._bound_plaintext import with_binding, without_binding
from manatee.custody._crc32c import crc32c
from manatee.errors import SealingError

MAGIC = b"manatee-key/v1\n"
names = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,62}", fullmatch=True)


@given(names, names, st.binary(min_size=1, max_size=2000))
def test_what_is_packed_is_parsed_and_packs_the_same(kind: str, key_id: str, sealed: bytes) -> None:
    blob = WrappedBlob(kind, key_id, sealed)
    data = pack_blob(blob)
    assert parse_blob(data) == blob
    assert len(data) <= MAX_WRAPPED_BYTES


@given(st.binary(max_size=400), st.booleans())
def test_hostile_bytes_parse_to_their_own_packing_or_are_refused(data: bytes, framed: bool) -> None:
    data = MAGIC + data if framed else data
    try:
        blob = parse_blob(data)
    except SealingError:
        return
    assert pack_blob(blob) == data


@given(st.data())
def test_every_cut_and_every_appended_byte_is_refused(data: st.DataObject) -> None:
    whole = pack_blob(WrappedBlob("age", "key-1", b"sealed"))
    cut = data.draw(st.integers(0, len(whole) - 1))
    for damaged in (whole[:cut], whole + data.draw(st.binary(min_size=1, max_size=9))):
        with pytest.raises(SealingError):
            parse_blob(damaged)


def test_an_enormous_blob_is_refused_unread() -> None:
    with pytest.raises(SealingError):
        parse_blob(MAGIC + b"\x01a\x01b" + bytes(1 << 20))
    with pytest.raises(SealingError):  # well formed, but larger than any place makes
        parse_blob(MAGIC + b"\x01a\x01b" + (9000).to_bytes(2, "big") + bytes(9000))


@pytest.mark.parametrize(
    "blob",
    [
        WrappedBlob("", "k", b"x"),
        WrappedBlob("age", "", b"x"),
        WrappedBlob("age", "K", b"x"),
        WrappedBlob("age", "k" * 64, b"x"),
        WrappedBlob("age", "k/../k", b"x"),
        WrappedBlob("age", "k\n", b"x"),
        WrappedBlob("age", "k", b""),
        WrappedBlob("age", "k", bytes(MAX_WRAPPED_BYTES)),
    ],
)
def test_parts_that_are_no_names_or_too_long_are_not_packed(blob: WrappedBlob) -> None:
    with pytest.raises(SealingError):
        pack_blob(blob)


@pytest.mark.parametrize("kind", [b"", b"AGE", b"a e"])
def test_a_frame_whose_kind_is_no_name_is_refused(kind: bytes) -> None:
    with pytest.raises(SealingError):
        parse_blob(MAGIC + bytes([len(kind)]) + kind + b"\x01k\x00\x01x")


def test_a_frame_with_nothing_sealed_is_refused() -> None:
    with pytest.raises(SealingError):
        parse_blob(MAGIC + b"\x03age\x01k\x00\x00")


def test_the_binding_covers_kind_key_id_and_context_each_on_its_own() -> None:
    found = {
        binding_of("age", "k", b"context"),
        binding_of("age", "l", b"context"),
        binding_of("agek", "", b"context"),
        binding_of("age", "kc", b"ontext"),
        binding_of("age", "k", b"contex"),
        binding_of("pkcs11", "k", b"context"),
    }
    assert len(found) == 6
    assert {len(binding) for binding in found} == {32}


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_the_bound_plaintext_opens_under_its_own_binding_only(key: bytes, binding: bytes) -> None:
    plaintext = with_binding(key, binding)
    assert without_binding(plaintext, binding) == key
    other = bytes([binding[0] ^ 1]) + binding[1:]
    for wrong_text, wrong_binding in (
        (plaintext, other),
        (plaintext[:-1], binding),
        (plaintext + b"\0", binding),
        (key, binding),
    ):
        with pytest.raises(SealingError):
            without_binding(wrong_text, wrong_binding)


def test_crc32c_gives_the_published_values() -> None:
    # RFC 3720, appendix B.4
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    assert crc32c(b"123456789") == 0xE3069283
