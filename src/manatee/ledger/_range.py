"""The few hashes from which a growing tree's root follows: one per perfect subtree."""

from __future__ import annotations

from collections.abc import Iterable

from manatee.errors import LedgerError
from manatee.ledger._hashing import EMPTY_ROOT, HASH_BYTES, node_hash


class CompactRange:
    """Tree of `size` entries, known by the roots of its perfect subtrees, largest first."""

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        """Take up a tree.

        Raises:
            LedgerError: The hashes are not as many as the size demands.
        """
        self.size = size
        self.hashes = list(hashes)
        if size < 0 or len(self.hashes) != size.bit_count():
            raise LedgerError("a compact range has one hash per set bit of its size.")
        if any(len(item) != HASH_BYTES for item in self.hashes):
            raise LedgerError("a Merkle hash must be 32 bytes.")

    def append(self, leaf: bytes) -> None:
        """Add the hash of one entry."""
        self.hashes.append(leaf)
        self.size += 1
        below = self.size
        while not below & 1:
            right, left = self.hashes.pop(), self.hashes.pop()
            self.hashes.append(node_hash(left, right))
            below >>= 1

    def root(self) -> bytes:
        """Return the root of the tree as it is now."""
        if not self.hashes:
            return EMPTY_ROOT
        found = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            found = node_hash(left, found)
        return found
