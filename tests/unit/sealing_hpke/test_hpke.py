"""Data keys under HPKE: opened by the one key, for the one purpose, they were sealed for."""

from __future__ import annotations

import pytest

from manatee.errors import SealingError
from manatee.sealing import (
    DATA_KEY_BYTES,
    new_session_keys,
    open_from_session,
    public_of,
    seal_to_session,
)

KEY = bytes(range(32))


def test_a_sealed_key_opens_with_its_private_key_and_info_only() -> None:
    private, public = new_session_keys()
    sealed = seal_to_session(KEY, public, b"info")
    assert open_from_session(sealed, private, b"info") == KEY
    assert public_of(private) == public
    for other_private, info in ((private, b"inf"), (new_session_keys()[0], b"info")):
        with pytest.raises(SealingError):
            open_from_session(sealed, other_private, info)


def test_sealing_twice_never_gives_the_same_bytes() -> None:
    _, public = new_session_keys()
    assert seal_to_session(KEY, public, b"") != seal_to_session(KEY, public, b"")


def test_no_flipped_bit_and_no_other_length_opens() -> None:
    private, public = new_session_keys()
    sealed = seal_to_session(KEY, public, b"info")
    damaged = [sealed[:size] for size in range(len(sealed))] + [sealed + b"\0"]
    for position in range(len(sealed)):
        flipped = bytearray(sealed)
        flipped[position] ^= 1 << position % 7  # X25519 ignores a coordinate's highest bit
        damaged.append(bytes(flipped))
    for data in damaged:
        with pytest.raises(SealingError):
            open_from_session(data, private, b"info")


@pytest.mark.parametrize("size", [0, 31, 33])
def test_keys_of_another_size_are_refused(size: int) -> None:
    private, public = new_session_keys()
    for use in (
        lambda: seal_to_session(KEY, bytes(size), b""),
        lambda: open_from_session(seal_to_session(KEY, public, b""), bytes(size), b""),
        lambda: open_from_session(seal_to_session(bytes(size), public, b""), private, b""),
        lambda: public_of(bytes(size)),
    ):
        with pytest.raises(SealingError):
            use()
    assert DATA_KEY_BYTES == 32


@pytest.mark.parametrize("point", [bytes(32), b"\1" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f"])
def test_a_point_of_small_order_cannot_be_sealed_to(point: bytes) -> None:
    with pytest.raises(SealingError):
        seal_to_session(KEY, point, b"")
