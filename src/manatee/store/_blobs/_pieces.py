"""Digests of a blob's pieces, so that any range of it can be checked without the rest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from manatee.errors import StoreError

PIECE_BYTES = 1 << 20
"""Bytes of every piece but the last, which has the rest."""

_DIGEST_BYTES = 32


@dataclass(frozen=True)
class Pieces:
    """Size of a blob in bytes, and the raw SHA-256 of its pieces one after the other."""

    size: int
    digests: bytes

    def __post_init__(self) -> None:
        if len(self.digests) != -(-self.size // PIECE_BYTES) * _DIGEST_BYTES:
            raise StoreError("the digests of a blob's pieces do not fit its size.")

    def fits(self, position: int, piece: bytes) -> bool:
        """Return whether bytes are the piece that begins at a position."""
        number = position // PIECE_BYTES
        expected = self.digests[number * _DIGEST_BYTES : (number + 1) * _DIGEST_BYTES]
        return hashlib.sha256(piece).digest() == expected


class PieceHasher:
    """Digests the pieces of bytes that arrive in any portions."""

    def __init__(self) -> None:
        self._size = 0
        self._digests = bytearray()
        self._piece = hashlib.sha256()
        self._filled = 0

    def update(self, chunk: bytes) -> None:
        """Take the next bytes."""
        view = memoryview(chunk)
        self._size += len(view)
        while view:
            part, view = (
                view[: PIECE_BYTES - self._filled],
                view[PIECE_BYTES - self._filled :],
            )
            self._piece.update(part)
            self._filled += len(part)
            if self._filled == PIECE_BYTES:
                self._close_piece()

    def _close_piece(self) -> None:
        self._digests += self._piece.digest()
        self._piece = hashlib.sha256()
        self._filled = 0

    def pieces(self) -> Pieces:
        """Return what was digested; nothing may be added afterwards."""
        if self._filled:
            self._close_piece()
        return Pieces(self._size, bytes(self._digests))
