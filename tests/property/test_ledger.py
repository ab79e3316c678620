"""Logs of any size agree with the plain definition, and no changed proof or hostile byte passes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manatee._clock import parse_timestamp
from manatee.errors import LedgerError, ManateeError
from manatee.ledger import (
    COSIGNATURE,
    ED25519,
    EMPTY_ROOT,
    Ledger,
    LogReader,
    LogTrust,
    Monitor,
    TileTree,
    Witness,
    create_log,
    leaf_hash,
    new_signer,
    parse_checkpoint,
    parse_key,
    parse_log_proof,
    parse_note,
    parse_signatures,
    read_folder,
    tile_path,
    verify_consistency,
    verify_inclusion,
    verify_log_proof,
)
from manatee.ledger._range import CompactRange
from manatee.ledger._tiles import TILE_WIDTH, tiles_of
from manatee.ledger._writer import decode_bundle, encode_bundle
from manatee.records import read_record

LOG = new_signer("example.org/log", ED25519)
KEY = new_signer("witness.example", COSIGNATURE)
TRUST = LogTrust(origin=LOG.name, log_key=str(LOG.key))
MOST = 3000


def tree_hash(leaves: list[bytes]) -> bytes:
    """RFC 9162, section 2.1.1, word for word."""
    if len(leaves) < 2:
        return leaves[0] if leaves else EMPTY_ROOT
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return hashlib.sha256(b"\x01" + tree_hash(leaves[:half]) + tree_hash(leaves[half:])).digest()


LEAVES = [leaf_hash(b"%d" % number) for number in range(MOST)]


def tiles(size: int) -> Callable[[str], bytes]:
    """Return the tiles of the tree of `size` entries, made without the writer."""
    found: dict[str, bytes] = {}
    row = LEAVES[:size]
    for level in range(len(tiles_of(size))):
        for at in range(0, len(row), TILE_WIDTH):
            part = row[at : at + TILE_WIDTH]
            found[tile_path(level, at // TILE_WIDTH, len(part))] = b"".join(part)
        full = len(row) // TILE_WIDTH
        row = [tree_hash(row[at * TILE_WIDTH : (at + 1) * TILE_WIDTH]) for at in range(full)]
    return found.__getitem__


@settings(max_examples=40, deadline=None)
@given(st.integers(0, MOST), st.data())
def test_a_log_written_in_any_batches_is_the_tree_by_definition(
    size: int, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, size), max_size=4)))
    with TemporaryDirectory() as name:
        folder = Path(name) / "log"
        create_log(folder, LOG)
        with Ledger.open(folder, LOG) as ledger:
            for start, end in pairwise([0, *cuts, size]):
                assert ledger.append([b"%d" % item for item in range(start, end)]) == tuple(
                    range(start, end)
                )
            root = ledger.checkpoint().checkpoint.root
        compact = CompactRange()
        for leaf in LEAVES[:size]:
            compact.append(leaf)
        assert root == compact.root() == tree_hash(LEAVES[:size])
        reader = LogReader(read_folder(folder))
        assert list(reader.entries(0, size)) == [b"%d" % item for item in range(size)]
        for level, index, width in tiles_of(size):
            path = tile_path(level, index, width)
            assert (folder / path).read_bytes() == tiles(size)(path)


@settings(max_examples=150, deadline=None)
@given(st.integers(1, MOST), st.data())
def test_an_inclusion_proof_holds_and_with_one_hash_changed_does_not(
    size: int, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof, root = TileTree(size, tiles(size)).inclusion(index), tree_hash(LEAVES[:size])
    verify_inclusion(LEAVES[index], index, size, proof, root)
    refuse = [(LEAVES[index], index, size, proof[:-1] if proof else (root,), root)]
    refuse.append((LEAVES[index], index, size, (*proof, root), root))
    other = data.draw(st.integers(0, size - 1).filter(lambda item: size == 1 or item != index))
    if size > 1:
        refuse.append((LEAVES[other], index, size, proof, root))
    for at in range(len(proof)):
        bit = data.draw(st.integers(0, 255))
        refuse.append((LEAVES[index], index, size, flip(proof, at, bit), root))
    for leaf, where, width, hashes, top in refuse:
        with pytest.raises(LedgerError):
            verify_inclusion(leaf, where, width, hashes, top)


def flip(proof: tuple[bytes, ...], at: int, bit: int) -> tuple[bytes, ...]:
    changed = bytearray(proof[at])
    changed[bit // 8] ^= 1 << bit % 8
    return (*proof[:at], bytes(changed), *proof[at + 1 :])


@settings(max_examples=150, deadline=None)
@given(st.integers(1, MOST), st.data())
def test_a_consistency_proof_holds_and_with_one_hash_changed_does_not(
    size: int, data: st.DataObject
) -> None:
    old = data.draw(st.integers(0, size))
    proof = TileTree(size, tiles(size)).consistency(old)
    old_root, root = tree_hash(LEAVES[:old]), tree_hash(LEAVES[:size])
    verify_consistency(old, size, proof, old_root, root)
    for at in range(len(proof)):
        changed = flip(proof, at, data.draw(st.integers(0, 255)))
        with pytest.raises(LedgerError):
            verify_consistency(old, size, changed, old_root, root)
    for hashes, before, after in (
        ((*proof, root), old_root, root),
        (proof, bytes(32), root),
        *([(proof, old_root, bytes(32))] if old else []),
        *([(proof[:-1], old_root, root)] if proof else []),
    ):
        with pytest.raises(LedgerError):
            verify_consistency(old, size, hashes, before, after)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=256))
def test_bundles_are_read_as_written(entries: list[bytes]) -> None:
    assert decode_bundle(encode_bundle(entries), len(entries)) == tuple(entries)


# --- hostile bytes --------------------------------------------------------------------------------


def _witness(data: bytes) -> None:
    with TemporaryDirectory() as name:
        now = parse_timestamp("2026-03-01T00:00:00Z")
        witness = Witness(Path(name), KEY, {LOG.name: LOG.key}, lambda: now)
        assert witness.add_checkpoint(data).status in {400, 403, 404}


def _monitor(data: bytes) -> None:
    with TemporaryDirectory() as name:
        Monitor(Path(name), TRUST).look(lambda _: data)


PARSERS: dict[str, Callable[[bytes], object]] = {
    "note": parse_note,
    "checkpoint": parse_checkpoint,
    "proof": parse_log_proof,
    "verify": lambda data: verify_log_proof(data, data, TRUST),
    "key": lambda data: parse_key(data.decode("latin-1")),
    "signatures": lambda data: parse_signatures(data.decode("latin-1").split("\n")),
    "bundle": lambda data: decode_bundle(data, 3),
    "tile": lambda data: TileTree(300, lambda _: data).inclusion(7),
    "trust": lambda data: read_record(data, LogTrust, what="trust").keys(),
    "witness": _witness,
    "monitor": _monitor,
}

GENUINE = [
    b"c2sp.org/tlog-proof@v1\nindex 0\n\nexample.org/log\n1\n"
    + b"A" * 43
    + b"=\n\n"
    + "— example.org/log AAAAAAAA\n".encode(),
    b"old 0\n\nexample.org/log\n1\n"
    + b"A" * 43
    + b"=\n\n"
    + "— example.org/log AAAAAAAA\n".encode(),
    b"example.org/log\n1\n" + b"A" * 43 + b"=\n\n" + "— example.org/log AAAAAAAA\n".encode(),
    str(LOG.key).encode(),
    b'{"origin":"a","log_key":"b","witnesses":["c"],"quorum":1}',
    encode_bundle([b"a", b"", b"bcd"]),
]


@st.composite
def nearly_genuine(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(GENUINE)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 5))] = draw(
            st.binary(max_size=5) | st.sampled_from([b"\n\n", b"9" * 30, b"-", b"\0", b"="])
        )
    return bytes(data)


@pytest.mark.parametrize("name", PARSERS)
@settings(max_examples=80, deadline=None)
@given(data=st.binary(max_size=400) | nearly_genuine())
def test_any_bytes_give_a_value_or_an_error_of_ours(name: str, data: bytes) -> None:
    try:
        PARSERS[name](data)
    except ManateeError:
        return


@pytest.mark.parametrize("name", PARSERS)
@pytest.mark.parametrize("piece", [b"\0", b"\n", b"9", b"[", "— a AAAAAAAA\n".encode(), b"old 0\n"])
def test_a_megabyte_of_nonsense_is_refused(name: str, piece: bytes) -> None:
    data = piece * ((1 << 20) // len(piece))
    if name == "witness":
        _witness(data)  # refuses by its answer
        return
    with pytest.raises(ManateeError):
        PARSERS[name](data)
