"""Fixed binary structures: every byte is accounted for, and none is read twice."""

from __future__ import annotations

import pytest

from manatee.attestation._cursor import Cursor
from manatee.errors import MalformedError


def test_bytes_are_taken_once_and_in_order() -> None:
    cursor = Cursor(b"abcdef", "thing")
    assert (cursor.take(2), cursor.take(0), cursor.take(3)) == (b"ab", b"", b"cde")
    assert (cursor.position, cursor.left) == (5, 1)
    assert cursor.rest() == b"f"
    cursor.end()


def test_numbers_are_little_endian_unless_said() -> None:
    assert Cursor(b"\x01\x02", "thing").number(2) == 0x0201
    assert Cursor(b"\x01\x02", "thing").number(2, big=True) == 0x0102


@pytest.mark.parametrize("count", [4, 1 << 62, -1])
def test_running_out_is_malformed(count: int) -> None:
    cursor = Cursor(b"abc", "thing")
    with pytest.raises(MalformedError, match="thing"):
        cursor.take(count)
    assert cursor.left == 3


def test_a_number_needs_all_its_bytes() -> None:
    with pytest.raises(MalformedError):
        Cursor(b"\1", "thing").number(2)


def test_a_length_past_the_end_or_over_the_cap_is_malformed() -> None:
    assert Cursor(b"\0\2ab", "thing").sized(2, big=True, at_most=2) == b"ab"
    with pytest.raises(MalformedError, match="at most 1"):
        Cursor(b"\0\2ab", "thing").sized(2, big=True, at_most=1)
    with pytest.raises(MalformedError, match="3 bytes expected"):
        Cursor(b"\0\3ab", "thing").sized(2, big=True, at_most=9)
    with pytest.raises(MalformedError):
        Cursor(b"\xff" * 8, "thing").sized(8, big=False, at_most=1 << 20)


def test_leftovers_are_malformed() -> None:
    cursor = Cursor(b"ab", "thing")
    cursor.take(1)
    with pytest.raises(MalformedError, match="1 bytes follow"):
        cursor.end()
