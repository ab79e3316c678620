"""Ranges of blobs are checked without the rest, whatever a place hands out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manatee.errors import DamagedBlobError, StoreError
from manatee.records import Digest, digest_bytes
from manatee.store._blobs._checked import READ_TRIES, checked
from manatee.store._blobs._pieces import PIECE_BYTES, PieceHasher, Pieces

DATA = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(3 * PIECE_BYTES // 32)) + b"end"
DIGEST = digest_bytes(DATA)


class LyingPlace:
    """Hands out what it holds, in portions of any size, and counts the requests."""

    def __init__(self, held: bytes, portion: int = PIECE_BYTES) -> None:
        self.held = held
        self.portion = portion
        self.requests: list[tuple[int, int]] = []

    def accept(self, staged: Path, digest: Digest, pieces: Pieces) -> None:
        self.held = staged.read_bytes()

    def read(self, digest: Digest, start: int, end: int) -> Iterator[bytes]:
        self.requests.append((start, end))
        for position in range(start, min(end, len(self.held)), self.portion):
            yield self.held[position : min(position + self.portion, end)]

    def link(self, digest: Digest, target: Path) -> bool:
        return False

    def probe(self) -> None:
        """It is always there."""


def pieces_of(data: bytes, portion: int) -> Pieces:
    hasher = PieceHasher()
    for position in range(0, len(data), portion):
        hasher.update(data[position : position + portion])
    return hasher.pieces()


PIECES = pieces_of(DATA, len(DATA))
POSITION = st.integers(-5, len(DATA) + 5)


@given(portion=st.integers(50_000, 3 * PIECE_BYTES), size=st.integers(0, len(DATA)))
@settings(max_examples=30, deadline=None)
def test_digests_of_pieces_do_not_depend_on_how_the_bytes_arrived(portion: int, size: int) -> None:
    data = DATA[:size]
    expected = b"".join(
        hashlib.sha256(data[start : start + PIECE_BYTES]).digest()
        for start in range(0, size, PIECE_BYTES)
    )
    assert pieces_of(data, portion) == Pieces(size, expected)


@given(start=POSITION, end=POSITION, portion=st.integers(50_000, 3 * PIECE_BYTES))
@settings(max_examples=40, deadline=None)
def test_any_range_is_the_bytes_of_that_range(start: int, end: int, portion: int) -> None:
    got = b"".join(checked(LyingPlace(DATA, portion), DIGEST, PIECES, start, end))
    assert got == DATA[max(start, 0) : max(end, 0)]


@given(start=POSITION, end=POSITION, wrong=st.integers(0, len(DATA) - 1), cut=st.booleans())
@settings(max_examples=60, deadline=None)
def test_no_wrong_byte_is_handed_on_wherever_the_damage_is(
    start: int, end: int, wrong: int, cut: bool
) -> None:
    held = DATA[:wrong] if cut else DATA[:wrong] + bytes([DATA[wrong] ^ 1]) + DATA[wrong + 1 :]
    right = DATA[max(start, 0) : max(end, 0)]
    got = bytearray()
    reading = checked(LyingPlace(held), DIGEST, PIECES, start, end)
    try:
        for chunk in reading:
            got += chunk
    except DamagedBlobError:
        assert right.startswith(got)
        assert len(got) < len(right)
    else:
        assert got == right


def test_a_range_asks_for_no_more_than_its_own_pieces() -> None:
    place = LyingPlace(DATA)
    assert b"".join(checked(place, DIGEST, PIECES, PIECE_BYTES + 5, PIECE_BYTES + 6))
    assert place.requests == [(PIECE_BYTES, 2 * PIECE_BYTES)]


def test_what_is_wrong_is_asked_for_again_from_where_it_is_wrong_and_not_for_ever() -> None:
    place = LyingPlace(DATA[: PIECE_BYTES + 9])
    with pytest.raises(DamagedBlobError):
        list(checked(place, DIGEST, PIECES))
    assert place.requests == [(0, len(DATA))] + [(PIECE_BYTES, len(DATA))] * (READ_TRIES - 1)


def test_pieces_that_fit_and_a_digest_that_does_not_hand_on_no_whole_blob() -> None:
    got = []
    with pytest.raises(DamagedBlobError, match="contradict"):
        got.extend(checked(LyingPlace(DATA), digest_bytes(b"another"), PIECES))
    assert sum(map(len, got)) < len(DATA)


@pytest.mark.parametrize("digests", [b"", PIECES.digests[:-1], PIECES.digests + bytes(32)])
def test_digests_that_do_not_fit_the_size_are_refused(digests: bytes) -> None:
    with pytest.raises(StoreError):
        Pieces(len(DATA), digests)
