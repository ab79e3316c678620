"""The tree as static files: names of tiles, and proofs computed from them (C2SP tlog-tiles)."""

from __future__ import annotations

from collections.abc import Callable

from manatee.errors import LedgerError
from manatee.ledger._hashing import EMPTY_ROOT, HASH_BYTES, node_hash, split

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT

ReadTile = Callable[[str], bytes]
"""Takes a path below the log's prefix and returns the file's bytes."""


def _number(index: int) -> str:
    parts = [f"{index % 1000:03}"]
    while index >= 1000:
        index //= 1000
        parts.append(f"x{index % 1000:03}")
    return "/".join(reversed(parts))


def tile_path(level: int, index: int, width: int = TILE_WIDTH) -> str:
    """Return the path of a tile of hashes; `width` below 256 names a partial one."""
    partial = "" if width == TILE_WIDTH else f".p/{width}"
    return f"tile/{level}/{_number(index)}{partial}"


def bundle_path(index: int, width: int = TILE_WIDTH) -> str:
    """Return the path of a bundle of entries; `width` below 256 names a partial one."""
    partial = "" if width == TILE_WIDTH else f".p/{width}"
    return f"tile/entries/{_number(index)}{partial}"


def tile_width(level: int, index: int, size: int) -> int:
    """Return how many hashes a tile has in a tree of `size` entries: 0 to 256."""
    hashes = size >> (TILE_HEIGHT * level)
    return max(0, min(TILE_WIDTH, hashes - index * TILE_WIDTH))


def tiles_of(size: int) -> list[tuple[int, int, int]]:
    """Return level, index and width of the rightmost tile of every level, where there is one."""
    found = []
    level = 0
    while size >> (TILE_HEIGHT * level):
        index = ((size >> (TILE_HEIGHT * level)) - 1) // TILE_WIDTH
        found.append((level, index, tile_width(level, index, size)))
        level += 1
    return found


class TileTree:
    """The tree of one size, over whatever reads its tiles. Tiles are kept while it lives."""

    def __init__(self, size: int, read: ReadTile) -> None:
        self.size = size
        self._read = read
        self._tiles: dict[tuple[int, int], bytes] = {}

    def root(self) -> bytes:
        """Return the tree's root, computed from its tiles."""
        return self._hash(0, self.size)

    def leaf(self, index: int) -> bytes:
        """Return the hash of an entry."""
        return self._hash(index, index + 1)

    def subtree(self, height: int, index: int) -> bytes:
        """Return the root of a perfect subtree of 2**height entries."""
        return self._perfect(height, index)

    def inclusion(self, index: int) -> tuple[bytes, ...]:
        """Return the inclusion proof of an entry.

        Raises:
            LedgerError: There is no such entry, or a tile is missing or of the wrong size.
        """
        if not 0 <= index < self.size:
            raise LedgerError(f"the log has {self.size} entries; there is no entry {index}.")
        proof: list[bytes] = []
        start, end = 0, self.size
        while end - start > 1:
            middle = start + split(end - start)
            if index < middle:
                proof.append(self._hash(middle, end))
                end = middle
            else:
                proof.append(self._hash(start, middle))
                start = middle
        return tuple(reversed(proof))

    def consistency(self, old_size: int) -> tuple[bytes, ...]:
        """Return the proof that this tree grew from its first `old_size` entries.

        Raises:
            LedgerError: The tree is smaller, or a tile is missing.
        """
        if not 0 <= old_size <= self.size:
            raise LedgerError(f"the log has {self.size} entries, fewer than {old_size}.")
        if old_size in (0, self.size):
            return ()
        proof: list[bytes] = []
        start, end, whole = 0, self.size, True
        while end != old_size:
            middle = start + split(end - start)
            if old_size <= middle:
                proof.append(self._hash(middle, end))
                end = middle
            else:
                proof.append(self._hash(start, middle))
                start, whole = middle, False
        if not whole:
            proof.append(self._hash(start, end))
        return tuple(reversed(proof))

    def _hash(self, start: int, end: int) -> bytes:
        """Return the hash of entries `start` to `end`, a range that proofs ask for."""
        count = end - start
        if count == 0:
            return EMPTY_ROOT
        if not count & (count - 1) and not start % count:
            return self._perfect(count.bit_length() - 1, start // count)
        middle = start + split(count)
        return node_hash(self._hash(start, middle), self._hash(middle, end))

    def _perfect(self, height: int, index: int) -> bytes:
        """Return the hash of a perfect subtree: stored, or a few levels above what is."""
        level, above = divmod(height, TILE_HEIGHT)
        first = index << above
        tile = self._tile(level, first // TILE_WIDTH)
        at = first % TILE_WIDTH
        hashes = [
            tile[HASH_BYTES * item : HASH_BYTES * (item + 1)]
            for item in range(at, at + (1 << above))
        ]
        if len(hashes[-1]) != HASH_BYTES:
            raise LedgerError("a tile of the log is too short.")
        while len(hashes) > 1:
            hashes = [
                node_hash(left, right)
                for left, right in zip(hashes[::2], hashes[1::2], strict=True)
            ]
        return hashes[0]

    def _tile(self, level: int, index: int) -> bytes:
        if (level, index) not in self._tiles:
            width = tile_width(level, index, self.size)
            data = self._read(tile_path(level, index, width))
            if len(data) != width * HASH_BYTES:
                raise LedgerError("a tile of the log does not have its size.")
            self._tiles[level, index] = data
        return self._tiles[level, index]
