"""Appends entries to a log's tiles. Tiles follow from the entries alone, so writing is repeatable.

A crash leaves files that no checkpoint speaks of; the next writer overwrites them.
"""

from __future__ import annotations

from collections.abc import Iterable

from manatee.errors import LedgerError, TooLargeError
from manatee.ledger._hashing import HASH_BYTES, leaf_hash, node_hash
from manatee.ledger._range import CompactRange
from manatee.ledger._storage import LogFolder
from manatee.ledger._tiles import (
    TILE_WIDTH,
    TileTree,
    bundle_path,
    tile_path,
    tile_width,
    tiles_of,
)

MAX_ENTRY_BYTES = 0xFFFF
"""Largest entry, in bytes: its length stands in 16 bits (C2SP tlog-tiles)."""


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """Return entries as a bundle: each after its length, 2 bytes, big-endian."""
    return b"".join(len(item).to_bytes(2, "big") + item for item in entries)


def decode_bundle(data: bytes, width: int) -> tuple[bytes, ...]:
    """Return the entries of a bundle.

    Raises:
        LedgerError: The bundle does not hold exactly `width` entries.
    """
    entries: list[bytes] = []
    at = 0
    while at < len(data) and len(entries) < width:
        length = int.from_bytes(data[at : at + 2], "big")
        entry = data[at + 2 : at + 2 + length]
        if at + 2 > len(data) or len(entry) != length:
            raise LedgerError("a bundle of entries is cut off.")
        entries.append(entry)
        at += 2 + length
    if at != len(data) or len(entries) != width:
        raise LedgerError(f"a bundle does not hold exactly {width} entries.")
    return tuple(entries)


def _tile_root(tile: bytes) -> bytes:
    hashes = [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]
    while len(hashes) > 1:
        hashes = [
            node_hash(left, right) for left, right in zip(hashes[::2], hashes[1::2], strict=True)
        ]
    return hashes[0]


class TreeWriter:
    """The right edge of a log: what of its tiles and entries is not yet a full file."""

    def __init__(self, files: LogFolder, size: int) -> None:
        """Take up a log at a size that a checkpoint names.

        Raises:
            LedgerError, NotFoundError: A file that the checkpoint demands is missing or damaged.
        """
        self._files = files
        self._edges: dict[int, bytearray] = {}
        self._entries: list[bytes] = []
        for level, index, width in tiles_of(size):
            if width < TILE_WIDTH:
                self._edges[level] = bytearray(files.read(tile_path(level, index, width)))
                if len(self._edges[level]) != width * HASH_BYTES:
                    raise LedgerError("a tile of the log does not have its size.")
        width = size % TILE_WIDTH
        if width:
            bundle = files.read(bundle_path(size // TILE_WIDTH, width))
            self._entries = list(decode_bundle(bundle, width))
        self._range = self._take_up(size)

    def _take_up(self, size: int) -> CompactRange:
        tree = TileTree(size, self._files.read)
        hashes, start = [], 0
        for bit in reversed(range(size.bit_length())):
            if size >> bit & 1:
                hashes.append(tree.subtree(bit, start >> bit))
                start += 1 << bit
        return CompactRange(size, hashes)

    @property
    def size(self) -> int:
        """Entries so far, those of this writer included."""
        return self._range.size

    def root(self) -> bytes:
        """Return the root over all entries so far."""
        return self._range.root()

    def check(self, root: bytes) -> None:
        """Check, before anything is appended, that the right edge is what was signed.

        Raises:
            LedgerError: The tiles do not give `root`, or the last entries not their tile.
        """
        hint = "Put back the files from a mirror; nothing may be appended to a broken log."
        if self.root() != root:
            raise LedgerError("the log's files do not give the root of its checkpoint.", hint=hint)
        if b"".join(map(leaf_hash, self._entries)) != bytes(self._edges.get(0, b"")):
            raise LedgerError("a bundle of entries is not what its tile was made of.", hint=hint)

    def append(self, entry: bytes) -> None:
        """Add one entry; full tiles are written at once.

        Raises:
            TooLargeError: The entry is over `MAX_ENTRY_BYTES`.
            StoreError: The disk does not take it.
        """
        if len(entry) > MAX_ENTRY_BYTES:
            raise TooLargeError(f"an entry of a log has at most {MAX_ENTRY_BYTES} bytes.")
        leaf = leaf_hash(entry)
        index = self._range.size // TILE_WIDTH
        self._range.append(leaf)
        self._entries.append(entry)
        if len(self._entries) == TILE_WIDTH:
            self._files.write(bundle_path(index), encode_bundle(self._entries))
            self._entries = []
        self._push(0, leaf)

    def _push(self, level: int, item: bytes) -> None:
        edge = self._edges.setdefault(level, bytearray())
        edge += item
        if len(edge) == TILE_WIDTH * HASH_BYTES:
            index = (self._range.size >> (8 * (level + 1))) - 1
            self._files.write(tile_path(level, index), bytes(edge))
            root = _tile_root(bytes(edge))
            edge.clear()
            self._push(level + 1, root)

    def flush(self) -> None:
        """Write the partial tiles of the present size, durably: now a checkpoint may name it.

        Raises:
            StoreError: The disk does not take it.
        """
        size = self._range.size
        for level, index, width in tiles_of(size):
            if width < TILE_WIDTH:
                self._files.write(tile_path(level, index, width), bytes(self._edges[level]))
        width = tile_width(0, size // TILE_WIDTH, size)
        if width:
            self._files.write(bundle_path(size // TILE_WIDTH, width), encode_bundle(self._entries))
        self._files.sync()
