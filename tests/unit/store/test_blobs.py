import subprocess
from pathlib import Path

import pytest

from manatee.errors import MalformedError, StoreError, TooLargeError
from manatee.records import digest_bytes
from manatee.store import Store, open_store
from manatee.testing import SettableClock

DATA = b"some ciphertext"
DIGEST = digest_bytes(DATA)


@pytest.fixture
def store(tmp_path: Path):
    opened = open_store(tmp_path / "store", clock=SettableClock())
    opened.accounts.add("alice", ["researcher"])
    opened.accounts.add("bob", ["researcher"])
    yield opened
    opened.close()


def files_in(store: Store) -> list[Path]:
    return [path for path in store.blobs.incoming.parent.rglob("*") if path.is_file()]


def test_a_blob_is_there_only_after_its_digest_was_checked(store: Store) -> None:
    with store.blobs.writer(DIGEST, max_bytes=100) as writer:
        writer.write(DATA)
        assert store.blobs.find(DIGEST) is None
        assert writer.finish("alice").size == len(DATA)
    assert store.blobs.read(DIGEST) == DATA


def test_wrong_bytes_leave_nothing(store: Store) -> None:
    with pytest.raises(MalformedError):
        store.blobs.put(DIGEST, [b"other"], account="alice", max_bytes=100)
    assert store.blobs.find(DIGEST) is None
    assert files_in(store) == []


def test_an_oversize_blob_leaves_nothing(store: Store) -> None:
    with pytest.raises(TooLargeError):
        store.blobs.put(DIGEST, [DATA], account="alice", max_bytes=len(DATA) - 1)
    assert files_in(store) == []


def test_an_upload_that_stops_leaves_nothing_and_can_begin_again(store: Store) -> None:
    with store.blobs.writer(DIGEST, max_bytes=100) as writer:
        writer.write(DATA[:4])
    assert files_in(store) == []
    store.blobs.put(DIGEST, [DATA], account="alice", max_bytes=100)
    assert store.blobs.read(DIGEST) == DATA


def test_opening_removes_what_a_dead_process_left_but_not_a_live_upload(
    store: Store, tmp_path: Path
) -> None:
    (store.blobs.incoming / "dead").write_bytes(b"half")
    with store.blobs.writer(DIGEST, max_bytes=100) as writer:
        writer.write(DATA)
        open_store(tmp_path / "store", clock=SettableClock()).close()
        assert not (store.blobs.incoming / "dead").exists()
        writer.finish("alice")
    assert store.blobs.read(DIGEST) == DATA


def test_only_who_uploaded_a_blob_is_known_to_hold_it(store: Store) -> None:
    store.blobs.put(DIGEST, [DATA], account="alice", max_bytes=100)
    assert store.blobs.uploaded_by("alice", [DIGEST]) == {DIGEST}
    assert store.blobs.uploaded_by("bob", [DIGEST]) == frozenset()


def test_materialised_blobs_are_read_only_and_removable(store: Store, tmp_path: Path) -> None:
    store.blobs.put(DIGEST, [DATA], account="alice", max_bytes=100)
    target = tmp_path / "job" / "file"
    for _ in range(2):
        store.blobs.materialise(DIGEST, target)
    assert target.read_bytes() == DATA
    assert target.stat().st_mode & 0o222 == 0
    target.unlink()
    assert store.blobs.read(DIGEST) == DATA


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("cannot mount a small tmpfs here")
    try:
        store = open_store(small / "store", clock=SettableClock())
        store.accounts.add("alice", ["researcher"])
        big = bytes(2 << 20)
        with pytest.raises(StoreError, match="disk is full"):
            store.blobs.put(digest_bytes(big), [big], account="alice", max_bytes=4 << 20)
        assert files_in(store) == []
        store.blobs.put(DIGEST, [DATA], account="alice", max_bytes=100)
        store.close()
    finally:
        subprocess.run(["umount", str(small)], check=True)
