"""Merkle trees: published roots, a naive tree as oracle, and proofs that hold for one fact only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from manatee.errors import LedgerError
from manatee.ledger import (
    ED25519,
    EMPTY_ROOT,
    Ledger,
    create_log,
    leaf_hash,
    new_signer,
    node_hash,
    root_of_inclusion,
    verify_consistency,
    verify_inclusion,
)
from manatee.ledger._range import CompactRange

SIZE = 70

# RFC 6962's reference tree, as published with the Certificate Transparency implementations
REFERENCE_LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
REFERENCE_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def naive_root(entries: list[bytes]) -> bytes:
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    half = 1
    while half * 2 < len(entries):
        half *= 2
    left, right = naive_root(entries[:half]), naive_root(entries[half:])
    return hashlib.sha256(b"\x01" + left + right).digest()


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ledger, list[bytes]]]:
    folder = tmp_path_factory.mktemp("log")
    signer = new_signer("example.org/log", ED25519)
    create_log(folder, signer)
    entries = [b"entry %d" % number for number in range(SIZE)]
    with Ledger.open(folder, signer) as ledger:
        for entry in entries:  # one by one: a checkpoint, and its partial tiles, for every size
            ledger.append([entry])
        yield ledger, entries


@pytest.mark.parametrize("size", range(9))
def test_roots_are_the_published_ones(size: int) -> None:
    known = CompactRange()
    for leaf in REFERENCE_LEAVES[:size]:
        known.append(leaf_hash(leaf))
    assert known.root().hex() == REFERENCE_ROOTS[size]


def test_every_inclusion_proof_holds_and_no_other(log: tuple[Ledger, list[bytes]]) -> None:
    ledger, entries = log
    from manatee.ledger import TileTree

    for size in range(1, SIZE + 1):
        tree = TileTree(size, ledger.reader._read)
        root = naive_root(entries[:size])
        assert tree.root() == root
        for index in range(size):
            proof = tree.inclusion(index)
            leaf = leaf_hash(entries[index])
            verify_inclusion(leaf, index, size, proof, root)
            for wrong in (proof[:-1], (*proof, bytes(32)), (bytes(32), *proof)):
                if wrong != proof:
                    with pytest.raises(LedgerError):
                        verify_inclusion(leaf, index, size, wrong, root)
            for other in {index - 1, index + 1}:
                with pytest.raises(LedgerError):
                    verify_inclusion(leaf, other, size, proof, root)


def test_every_consistency_proof_holds_and_no_other(log: tuple[Ledger, list[bytes]]) -> None:
    ledger, entries = log
    roots = [naive_root(entries[:size]) for size in range(SIZE + 1)]
    for new in range(1, SIZE + 1):
        for old in range(new + 1):
            proof = ledger.reader.consistency(old, new)
            verify_consistency(old, new, proof, roots[old], roots[new])
            if 0 < old < new:
                for wrong in (proof[:-1], (*proof, bytes(32)), tuple(reversed(proof))):
                    if wrong != proof:
                        with pytest.raises(LedgerError):
                            verify_consistency(old, new, wrong, roots[old], roots[new])
                with pytest.raises(LedgerError):
                    verify_consistency(old, new, proof, roots[old - 1], roots[new])
                with pytest.raises(LedgerError):
                    verify_consistency(old, new, proof, roots[old], roots[new - 1])


@pytest.mark.parametrize(
    ("index", "size"), [(-1, 1), (1, 1), (0, 0), (5, 5), (0, 2**63), (2**64, 2**65)]
)
def test_an_index_outside_the_tree_is_refused(index: int, size: int) -> None:
    with pytest.raises(LedgerError, match="not one of the tree"):
        root_of_inclusion(bytes(32), index, size, ())


def test_trees_never_shrink() -> None:
    with pytest.raises(LedgerError, match="larger"):
        verify_consistency(2, 1, (), bytes(32), bytes(32))


def test_the_empty_tree_grows_into_any_but_has_one_root() -> None:
    verify_consistency(0, 5, (), EMPTY_ROOT, bytes(32))
    with pytest.raises(LedgerError):
        verify_consistency(0, 5, (), bytes(32), bytes(32))
    with pytest.raises(LedgerError):
        verify_consistency(0, 5, (bytes(32),), EMPTY_ROOT, bytes(32))


def test_equal_sizes_need_equal_roots_and_no_proof() -> None:
    root = node_hash(leaf_hash(b"a"), leaf_hash(b"b"))
    verify_consistency(2, 2, (), root, root)
    with pytest.raises(LedgerError):
        verify_consistency(2, 2, (), root, bytes(32))
    with pytest.raises(LedgerError):
        verify_consistency(2, 2, (root,), root, root)


def test_hashes_of_another_length_are_refused() -> None:
    leaf = leaf_hash(b"a")
    with pytest.raises(LedgerError, match="32 bytes"):
        verify_inclusion(leaf, 0, 2, (leaf[:31],), leaf)
    with pytest.raises(LedgerError, match="32 bytes"):
        verify_inclusion(leaf, 0, 1, (), b"")
    with pytest.raises(LedgerError, match="32 bytes"):
        CompactRange(1, [b"short"])


def test_tiles_lie_where_the_specification_says(tmp_path: Path) -> None:
    from manatee.ledger import bundle_path, tile_path

    assert tile_path(0, 1234067) == "tile/0/x001/x234/067"
    assert tile_path(2, 0, 17) == "tile/2/000.p/17"
    assert bundle_path(273, 112) == "tile/entries/273.p/112"
    signer = new_signer("example.org/log", ED25519)
    create_log(tmp_path, signer)
    with Ledger.open(tmp_path, signer) as ledger:
        ledger.append([b"x"] * 70_000)
    count = len([item for item in (tmp_path / "tile" / "0").rglob("*") if item.is_file()])
    assert count == 274  # 273 full ones and a partial one of width 112
    assert (tmp_path / "tile/0/273.p/112").stat().st_size == 112 * 32
    assert (tmp_path / "tile/1/000").stat().st_size == 8192
    assert (tmp_path / "tile/1/001.p/17").stat().st_size == 17 * 32
    assert (tmp_path / "tile/2/000.p/1").stat().st_size == 32
