"""Verification of inclusion and consistency proofs (RFC 9162, sections 2.1.3.2 and 2.1.4.2).

A proof that holds has exactly as many hashes as the tree's shape demands: one too few or one too
many is refused, so there is one proof of one fact.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from manatee.errors import LedgerError
from manatee.ledger._hashing import EMPTY_ROOT, HASH_BYTES, node_hash

MAX_TREE_SIZE = 2**63 - 1


def _check_form(proof: Sequence[bytes], *hashes: bytes) -> None:
    if any(len(item) != HASH_BYTES for item in (*proof, *hashes)):
        raise LedgerError("a Merkle hash must be 32 bytes.")


def root_of_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """Return the root that an inclusion proof leads to.

    Args:
        leaf: Hash of the entry, as `leaf_hash` gives it.
        index: Of the entry, from 0.
        size: Of the tree, in entries.
        proof: Sibling hashes, from the leaf upwards.

    Raises:
        LedgerError: The entry cannot be in such a tree, or the proof has another length.
    """
    _check_form(proof, leaf)
    if not 0 <= index < size <= MAX_TREE_SIZE:
        raise LedgerError("the proof's index is not one of the tree.")
    first, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise LedgerError("the inclusion proof has too many hashes.")
        if first & 1 or first == last:
            found = node_hash(sibling, found)
            while not first & 1 and first:
                first >>= 1
                last >>= 1
        else:
            found = node_hash(found, sibling)
        first >>= 1
        last >>= 1
    if last:
        raise LedgerError("the inclusion proof has too few hashes.")
    return found


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that an entry stands at `index` of the tree with this size and root.

    Raises:
        LedgerError: It does not, as far as this proof shows.
    """
    _check_form((), root)
    if not hmac.compare_digest(root_of_inclusion(leaf, index, size, proof), root):
        raise LedgerError("the inclusion proof does not lead to the tree's root.")


def verify_consistency(
    old_size: int, new_size: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes
) -> None:
    """Check that a tree is an earlier one with entries appended and nothing else.

    Raises:
        LedgerError: It is not, as far as this proof shows.
    """
    _check_form(proof, old_root, new_root)
    if not 0 <= old_size <= new_size <= MAX_TREE_SIZE:
        raise LedgerError("a tree cannot have grown from a larger one.")
    if old_size in (0, new_size):
        wanted = EMPTY_ROOT if old_size == 0 else new_root
        same = old_size != new_size or hmac.compare_digest(old_root, new_root)
        if proof or not same or not hmac.compare_digest(old_root, wanted):
            raise LedgerError("two trees of one size differ, or the proof should be empty.")
        return
    path = list(proof)
    if not old_size & (old_size - 1):
        path.insert(0, old_root)
    if not path:
        raise LedgerError("the consistency proof has too few hashes.")
    first, last = old_size - 1, new_size - 1
    while first & 1:
        first >>= 1
        last >>= 1
    old_found = new_found = path[0]
    for item in path[1:]:
        if last == 0:
            raise LedgerError("the consistency proof has too many hashes.")
        if first & 1 or first == last:
            old_found = node_hash(item, old_found)
            new_found = node_hash(item, new_found)
            while not first & 1 and first:
                first >>= 1
                last >>= 1
        else:
            new_found = node_hash(new_found, item)
        first >>= 1
        last >>= 1
    if last:
        raise LedgerError("the consistency proof has too few hashes.")
    if not (hmac.compare_digest(old_found, old_root) and hmac.compare_digest(new_found, new_root)):
        raise LedgerError("the new tree is not the old one with entries appended.")
