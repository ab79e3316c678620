"""The object store: what holds in a folder holds in a bucket."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from manatee.errors import (
    DamagedBlobError,
    MalformedError,
    NotFoundError,
    StoreFullError,
    TooLargeError,
)
from manatee.records import digest_bytes
from manatee.store import Blobs
from manatee.store._blobs._folder import FolderPlace
from manatee.store._blobs._interface import Place
from manatee.store._blobs._objects import PART_BYTES
from manatee.store._blobs._pieces import PIECE_BYTES
from manatee.store._database import Database
from manatee.store._engines import open_engines
from manatee.testing import SettableClock

from ._blob_places import DATA, DIGEST, KINDS, bucket_place, put, staged
from ._s3 import BUCKET, FaultyFront, S3Server, full_disk

SIZES = (0, 1, PIECE_BYTES, PIECE_BYTES + 1, PART_BYTES + PIECE_BYTES + 7)


@pytest.fixture(params=(*KINDS, "swift", "azure"))
def blobs(
    request: pytest.FixtureRequest, tmp_path: Path, open_blobs: Callable[[Place], Blobs]
) -> Blobs:
    if request.param == "folder":
        return open_blobs(FolderPlace(tmp_path / "blobs"))
    if request.param == "azure":
        return open_blobs(request.getfixturevalue("container"))
    request.getfixturevalue("in_swift" if request.param == "swift" else "front")
    return open_blobs(bucket_place(prefix=tmp_path.name))


# --- every place --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_a_blob_comes_back_whole_and_in_every_range(blobs: Blobs, size: int) -> None:
    data = os.urandom(size)
    digest = put(blobs, data)
    assert blobs.read(digest) == data
    edges = {0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, size // 2, size - 1, size}
    inside = sorted(edge for edge in edges if 0 <= edge <= size)
    for start in inside:
        for end in inside:
            assert b"".join(blobs.stream(digest, start, end)) == data[start:end]
    assert b"".join(blobs.stream(digest, size // 2, size + 100)) == data[size // 2 :]
    assert staged(blobs) == []


def test_a_blob_is_there_only_after_its_digest_was_checked(blobs: Blobs) -> None:
    with blobs.writer(DIGEST, max_bytes=100) as writer:
        writer.write(DATA)
        with pytest.raises(NotFoundError):
            blobs.stream(DIGEST)
        writer.finish(None)
    assert blobs.read(DIGEST) == DATA


@pytest.mark.parametrize(
    ("data", "cap", "error"),
    [(b"other", 100, MalformedError), (DATA, len(DATA) - 1, TooLargeError)],
)
def test_what_is_refused_leaves_nothing(
    blobs: Blobs, data: bytes, cap: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        blobs.put(DIGEST, [data], account=None, max_bytes=cap)
    assert blobs.find(DIGEST) is None
    assert staged(blobs) == []
    with pytest.raises(DamagedBlobError):
        next(iter(blobs._place.read(DIGEST, 0, 1)))


def test_a_second_put_changes_nothing(blobs: Blobs) -> None:
    assert put(blobs) == put(blobs)
    assert blobs.read(DIGEST) == DATA


def test_a_materialised_blob_is_read_only_and_replaces_what_was_there(
    blobs: Blobs, tmp_path: Path
) -> None:
    put(blobs)
    target = tmp_path / "job" / "data" / "file"
    target.parent.mkdir(parents=True)
    target.write_bytes(b"older")
    for _ in range(2):
        blobs.materialise(DIGEST, target)
        assert target.read_bytes() == DATA
        assert target.stat().st_mode & 0o222 == 0
        assert list(target.parent.iterdir()) == [target]


def test_a_blob_as_a_file_is_gone_afterwards(blobs: Blobs) -> None:
    put(blobs)
    with blobs.as_file(DIGEST) as path:
        assert path.read_bytes() == DATA
    assert staged(blobs) == []


def test_two_installations_see_the_same_place_whole(
    blobs: Blobs, open_blobs: Callable[[Place], Blobs]
) -> None:
    other = open_blobs(blobs._place)
    put(blobs)
    assert other.read(DIGEST) == DATA


# --- damage -------------------------------------------------------------------------------------


def _stored_file(blobs: Blobs, digest: str) -> Path:
    return blobs._place.path_of(digest)


@pytest.mark.parametrize("damage", ["flipped", "short", "gone"])
def test_damage_in_a_folder_is_found_before_a_byte_is_handed_on_and_heals_by_a_new_put(
    tmp_path: Path, open_blobs: Callable[[Place], Blobs], damage: str
) -> None:
    blobs = open_blobs(FolderPlace(tmp_path / "blobs"))
    data = os.urandom(3 * PIECE_BYTES)
    digest = put(blobs, data)
    file = _stored_file(blobs, digest)
    file.chmod(0o644)
    wrong = bytearray(data)
    wrong[2 * PIECE_BYTES + 5] ^= 1
    bad = {"flipped": bytes(wrong), "short": data[: 2 * PIECE_BYTES + 5], "gone": b""}[damage]
    file.write_bytes(bad)
    if damage == "gone":
        file.unlink()
    else:
        assert b"".join(blobs.stream(digest, 0, PIECE_BYTES)) == data[:PIECE_BYTES]
    got: list[bytes] = []
    with pytest.raises(DamagedBlobError):
        got.extend(blobs.stream(digest))
    assert data.startswith(b"".join(got))
    with pytest.raises(DamagedBlobError):
        next(blobs.stream(digest, 2 * PIECE_BYTES + 5, 2 * PIECE_BYTES + 6))
    put(blobs, data)
    assert blobs.read(digest) == data


# --- kill -9 ------------------------------------------------------------------------------------

_CHILD = """
import os, signal, sys
from datetime import timedelta
from pathlib import Path
from manatee.records import digest_bytes
from manatee.store._blobs._blobs import Blobs
from manatee.store._blobs._folder import FolderPlace
from manatee.store._blobs._objects import objects_at
from manatee.store._database import Database
from manatee.store._engines import open_engines
from manatee.testing import SettableClock

class DiesBeforeTheRecord(Blobs):
    def _record(self, *_):
        os.kill(os.getpid(), signal.SIGKILL)

kind, dies, folder, data = sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])
place = FolderPlace(folder / "blobs") if kind == "folder" else objects_at(kind)
blobs = {"in-record": DiesBeforeTheRecord, "in-upload": Blobs}[dies](
    Database(open_engines("", folder)), place, folder / "blobs" / "incoming", SettableClock()
)
data = data.read_bytes()
blobs.put(digest_bytes(data), [data], account=None, max_bytes=len(data))
"""


def _killed(kind: str, dies: str, folder: Path, data: bytes) -> subprocess.Popen[bytes]:
    (folder / "data").write_bytes(data)
    where = kind if kind == "folder" else f"s3+http://{BUCKET}/clean/room"
    command = [sys.executable, "-c", _CHILD, where, dies, str(folder), str(folder / "data")]
    return subprocess.Popen(command)


def test_a_kill_in_the_middle_of_an_upload_leaves_nothing_that_counts(
    in_bucket: Blobs,
    open_blobs: Callable[[Place], Blobs],
    front: FaultyFront,
    server: S3Server,
    tmp_path: Path,
) -> None:
    data = os.urandom(3 * PART_BYTES)
    front.always("hold")
    with _killed("s3", "in-upload", tmp_path, data) as child:
        assert front.held.wait(60)
        child.kill()
    front.always(None)
    assert server.keys() == []
    assert len(staged(in_bucket)) == 1
    again = open_blobs(in_bucket._place)
    assert staged(again) == []
    with pytest.raises(NotFoundError):
        again.read(digest_bytes(data))
    assert again.read(put(again, data)) == data


@pytest.mark.parametrize("kind", KINDS)
def test_a_kill_between_contents_and_record_is_made_good_by_the_next_put(
    kind: str, front: FaultyFront, tmp_path: Path, open_blobs: Callable[[Place], Blobs]
) -> None:
    place = FolderPlace(tmp_path / "blobs") if kind == "folder" else bucket_place()
    with _killed(kind, "in-record", tmp_path, DATA) as child:
        assert child.wait(60) == -signal.SIGKILL
    blobs = open_blobs(place)
    assert b"".join(place.read(DIGEST, 0, len(DATA))) == DATA
    assert blobs.find(DIGEST) is None
    assert staged(blobs) == []
    assert blobs.read(put(blobs)) == DATA


# --- no room ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_is_told_and_leaves_nothing(
    kind: str, front: FaultyFront, tmp_path: Path
) -> None:
    with full_disk(tmp_path / "small", mebibytes=2) as small:
        database = Database(open_engines("", tmp_path))
        place = FolderPlace(small) if kind == "folder" else bucket_place()
        blobs = Blobs(database, place, small / "incoming", SettableClock())
        big = os.urandom(4 << 20)
        with pytest.raises(StoreFullError, match="full"):
            put(blobs, big)
        assert staged(blobs) == []
        put(blobs)
        with (small / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
            while filler.write(bytes(4096)) == 4096:
                pass
        with pytest.raises(StoreFullError), blobs.as_file(DIGEST):
            pytest.fail("there was no room for a copy")
        assert blobs.read(DIGEST) == DATA
        database.close()
