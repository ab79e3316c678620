"""A log's folder: damage, full or failing disks, a real kill, other writers."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from manatee.errors import ConflictError, LedgerError, NotFoundError, StoreError, TooLargeError
from manatee.ledger import (
    ED25519,
    EMPTY_ROOT,
    Ledger,
    LogReader,
    create_log,
    leaf_hash,
    new_signer,
    root_of_inclusion,
    signer_in,
    verify_inclusion,
)
from manatee.ledger import _ledger as ledger_module
from manatee.ledger._proofs import verify_consistency
from manatee.ledger._range import CompactRange
from manatee.ledger._storage import LogFolder
from manatee.ledger._writer import decode_bundle

LOG = new_signer("example.org/log", ED25519)

APPENDER = """
import sys
from pathlib import Path
from manatee.ledger import ED25519, Ledger, signer_in
folder, key = map(Path, sys.argv[1:])
with Ledger.open(folder, signer_in(key, "", ED25519)) as ledger:
    while True:
        size = ledger.checkpoint().checkpoint.size
        ledger.append([b"entry %d" % number for number in range(size, size + 37)])
        print(ledger.checkpoint().checkpoint.size, flush=True)
"""


def entries(count: int, start: int = 0) -> list[bytes]:
    return [b"entry %d" % number for number in range(start, start + count)]


def root_of(count: int) -> bytes:
    tree = CompactRange()
    for entry in entries(count):
        tree.append(leaf_hash(entry))
    return tree.root()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create_log(tmp_path / "log", LOG)
    with Ledger.open(tmp_path / "log", LOG) as ledger:
        ledger.append(entries(300))
    return tmp_path / "log"


@pytest.mark.parametrize("batches", [3, 11])
def test_a_killed_writer_loses_nothing_it_acknowledged(tmp_path: Path, batches: int) -> None:
    folder, key = tmp_path / "log", tmp_path / "key.json"
    signer = signer_in(key, LOG.name, ED25519)
    create_log(folder, signer)
    running = subprocess.Popen(
        [sys.executable, "-c", APPENDER, str(folder), str(key)], stdout=subprocess.PIPE, text=True
    )
    assert running.stdout is not None
    with running, running.stdout:
        acknowledged = [int(running.stdout.readline()) for _ in range(batches)][-1]
        running.send_signal(signal.SIGKILL)  # in the midst of some later append
        assert running.wait(20) == -signal.SIGKILL
    with Ledger.open(folder, signer) as ledger:  # the dead writer's lock went with it
        found = ledger.checkpoint().checkpoint
        assert found.size >= acknowledged
        assert found.root == root_of(found.size)
        ledger.append(entries(300, found.size))
        assert ledger.checkpoint().checkpoint.root == root_of(found.size + 300)


@pytest.mark.parametrize("name", ["tile/0/001.p/44", "tile/1/000.p/1"])
def test_a_changed_tile_of_the_right_edge_takes_no_more_entries(folder: Path, name: str) -> None:
    path = folder / name
    path.write_bytes(bytes(len(path.read_bytes())))
    with pytest.raises(LedgerError, match="root"), Ledger.open(folder, LOG):
        pass


def test_a_changed_tile_below_a_stored_root_spoils_its_own_proofs(folder: Path) -> None:
    (folder / "tile/0/000").write_bytes(bytes(256 * 32))
    with Ledger.open(folder, LOG) as ledger:
        proof = ledger.reader.proof(3)
        tree = proof.signed.checkpoint
        with pytest.raises(LedgerError):
            verify_inclusion(leaf_hash(b"entry 3"), 3, tree.size, proof.hashes, tree.root)


@pytest.mark.parametrize("name", ["tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/001.p/44"])
@pytest.mark.parametrize("damage", ["missing", "cut", "longer", "folder"])
def test_a_file_of_the_right_edge_must_be_there_and_whole(
    folder: Path, name: str, damage: str
) -> None:
    path = folder / name
    data = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "missing":
        path.write_bytes(data[:-1] if damage == "cut" else data + b"\0")
    refusals = {"missing": NotFoundError, "folder": StoreError}
    with pytest.raises(refusals.get(damage, LedgerError)), Ledger.open(folder, LOG):
        pass


def test_an_entry_edited_on_disk_is_not_carried_into_new_bundles(folder: Path) -> None:
    bundle = folder / "tile/entries/001.p/44"
    bundle.write_bytes(bundle.read_bytes().replace(b"entry 299", b"entry 9!!"))
    with pytest.raises(LedgerError, match="bundle"), Ledger.open(folder, LOG):
        pass


@pytest.mark.parametrize("fails_at", range(8))
def test_a_disk_that_fills_at_any_file_leaves_a_log_that_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    genuine, calls = os.fsync, [0]

    def full(descriptor: int) -> None:
        calls[0] += 1
        if calls[0] > fails_at:
            raise OSError(errno.ENOSPC, "No space left on device")
        genuine(descriptor)

    with Ledger.open(folder, LOG) as ledger:
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match="No space left"):
            ledger.append(entries(300, 300))
        monkeypatch.setattr(os, "fsync", genuine)
        assert ledger.checkpoint().checkpoint.size in {300, 600}
        if ledger.checkpoint().checkpoint.size == 300:
            ledger.append(entries(300, 300))
        assert ledger.checkpoint().checkpoint.root == root_of(600)
        assert ledger.reader.entry(599, 600) == b"entry 599"
    assert not [path for path in folder.rglob(".*") if path.name != ".lock"]


def test_a_folder_that_cannot_be_made_durable_is_a_store_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = os.fsync

    def failing(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        genuine(descriptor)

    with Ledger.open(folder, LOG) as ledger:
        monkeypatch.setattr(os, "fsync", failing)
        with pytest.raises(StoreError, match="durable"):
            ledger.append(entries(1, 300))


def test_a_place_that_takes_no_folder_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError):
        create_log(tmp_path / "file" / "log", LOG)


def test_a_batch_has_a_largest_size(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "MAX_BATCH", 3)
    with Ledger.open(folder, LOG) as ledger:
        with pytest.raises(TooLargeError):
            ledger.append(entries(4, 300))
        assert ledger.append(entries(3, 300)) == (300, 301, 302)


def test_another_writer_is_refused_or_waits_its_turn(folder: Path) -> None:
    found: list[tuple[int, ...]] = []

    def append() -> None:
        with Ledger.open(folder, LOG, wait=True) as second:
            found.append(second.append(entries(1, 301)))

    with Ledger.open(folder, LOG) as first:
        waiting = threading.Thread(target=append)
        waiting.start()
        with pytest.raises(ConflictError), Ledger.open(folder, LOG):
            pass
        assert first.append(entries(1, 300)) == (300,)
        assert not found
    waiting.join(20)
    assert found == [(301,)]
    assert LogFolder(folder).exists("tile/0/001.p/46")


def test_the_empty_tree_has_one_root_even_towards_itself() -> None:
    verify_consistency(0, 0, (), EMPTY_ROOT, EMPTY_ROOT)
    with pytest.raises(LedgerError):
        verify_consistency(0, 0, (), EMPTY_ROOT, bytes(32))


def test_a_proof_has_exactly_as_many_hashes_as_the_tree_is_high() -> None:
    for count, what in ((1, "few"), (3, "many")):
        with pytest.raises(LedgerError, match=what):
            root_of_inclusion(bytes(32), 1, 4, [bytes(32)] * count)
    for count, what in ((1, "few"), (4, "many")):
        with pytest.raises(LedgerError, match=what):
            verify_consistency(3, 4, [bytes(32)] * count, bytes(32), bytes(32))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "exactly 2"),
        (b"\0\1a", "exactly 2"),
        (b"\0\1a\0\1b\0\1c", "exactly 2"),
        (b"\0\1a\0", "cut off"),
        (b"\0\1a\0\5b", "cut off"),
    ],
)
def test_a_bundle_has_exactly_its_entries(data: bytes, why: str) -> None:
    with pytest.raises(LedgerError, match=why):
        decode_bundle(data, 2)
    with pytest.raises(LedgerError):
        LogReader(lambda _: data).entry(1, 2)
    assert decode_bundle(b"\0\1a\0\0", 2) == (b"a", b"")
