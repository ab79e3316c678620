"""Reading from a place that may lie: every piece is checked before a byte of it is handed on."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Generator, Iterator

from manatee.errors import DamagedBlobError, StoreError, StoreRefusedError
from manatee.records import Digest
from manatee.store._blobs._interface import Place
from manatee.store._blobs._pieces import PIECE_BYTES, Pieces

READ_TRIES = 2
"""Tries of one piece before the read fails."""


def _gathered(portions: Iterator[bytes]) -> Iterator[bytes]:
    """Cut portions into pieces; the last may be shorter."""
    held = bytearray()
    for portion in portions:
        held += portion
        while len(held) >= PIECE_BYTES:
            yield bytes(held[:PIECE_BYTES])
            del held[:PIECE_BYTES]
    if held:
        yield bytes(held)


def _next_pieces(
    place: Place, digest: Digest, pieces: Pieces, position: int, stop: int
) -> Generator[bytes]:
    for piece in _gathered(place.read(digest, position, stop)):
        if not pieces.fits(position, piece):
            raise DamagedBlobError(
                "the object store returned other bytes than it was given.",
                hint="Upload the blob again, or restore it from a backup.",
            )
        position += len(piece)
        yield piece
    if position < stop:
        raise DamagedBlobError(
            "the object store returned fewer bytes than it was given.",
            hint="Upload the blob again, or restore it from a backup.",
        )


def checked(
    place: Place, digest: Digest, pieces: Pieces, start: int = 0, end: int | None = None
) -> Generator[bytes]:
    """Yield the bytes of a blob from `start` up to `end`, checked.

    What is wrong, missing or failed is asked for again, from the first such piece on. A read of
    the whole blob checks the whole digest too, before its last piece is handed on.

    Raises:
        DamagedBlobError: The bytes are gone or differ, `READ_TRIES` times in a row.
        StoreError: The place failed, as often.
    """
    end = pieces.size if end is None else min(end, pieces.size)
    start = max(start, 0)
    if start >= end:
        return
    position = start // PIECE_BYTES * PIECE_BYTES
    stop = min(-(-end // PIECE_BYTES) * PIECE_BYTES, pieces.size)
    whole = hashlib.sha256() if (position, stop) == (0, pieces.size) else None
    failures = 0
    while position < stop:
        reading = _next_pieces(place, digest, pieces, position, stop)
        with contextlib.closing(reading):
            try:
                for piece in reading:
                    if whole is not None:
                        whole.update(piece)
                        if position + len(piece) == stop:
                            _check_whole(digest, whole.hexdigest())
                    failures = 0
                    before = position
                    position += len(piece)
                    yield piece[max(start - before, 0) : end - before]
            except StoreRefusedError:
                raise
            except StoreError:
                failures += 1
                if failures >= READ_TRIES:
                    raise


def _check_whole(digest: Digest, found: str) -> None:
    if digest != f"sha256:{found}":
        raise DamagedBlobError(
            "the database's digests of a blob contradict one another.",
            hint="Restore the database from a backup.",
        )
