"""Backups of a store in use: whole and checked, or refused."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from manatee.errors import DamagedBlobError, MalformedError, StoreError
from manatee.jobs import JobState
from manatee.records import digest_bytes
from manatee.settings import Settings
from manatee.store import Installation, Store, back_up, open_store, restore
from manatee.testing import ControlPlane, SettableClock
from manatee.testing._control_plane import SEALED
from manatee.testing._postgresql import fresh_database

NewUrl = Callable[[], str]


@pytest.fixture
def plane(tmp_path: Path, new_database_url: NewUrl) -> Iterator[ControlPlane]:
    (tmp_path / "plane").mkdir()
    made = ControlPlane(tmp_path / "plane", at_once=False, database_url=new_database_url())
    yield made
    made.store.close()


def installation(plane: ControlPlane) -> Installation:
    return Installation(plane.folder / "store", plane.settings.database_url, "")


@pytest.fixture
def elsewhere(tmp_path: Path, new_database_url: NewUrl, plane: ControlPlane) -> Installation:
    return Installation(tmp_path / "elsewhere", new_database_url(), "")


def opened(plane: ControlPlane, at: Installation) -> Store:
    return open_store(at.folder, clock=plane.clock, database_url=at.database_url)


def test_jobs_in_flight_go_on_where_the_backup_was_restored(
    plane: ControlPlane, elsewhere: Installation, tmp_path: Path
) -> None:
    jobs = [plane.submit(submission=number) for number in range(1, 6)]
    for job in jobs[:4]:
        plane.approve(job)
    first = plane.reconciler("first")
    first.settle()  # two guests run, two jobs wait for a slot, one for its approval
    flying = [job for job in plane.store.jobs.page() if job.handle is not None]
    assert len(flying) == 2
    back_up(installation(plane), tmp_path / "backup")
    before = plane.store.jobs.page()
    plane.store.close()

    restore(elsewhere, tmp_path / "backup")
    plane.store = opened(plane, elsewhere)
    assert plane.store.jobs.page() == before
    assert plane.store.blobs.read(digest_bytes(SEALED)) == SEALED
    plane.approve(jobs[4])
    plane.clock.put_forward(60)  # the leases of the one before expire
    second = plane.reconciler("second")
    for _ in range(40):
        second.settle()
        for name in plane.place.guests():
            plane.place.advance(name)
    assert {plane.state(job) for job in jobs} == {JobState.RELEASED}
    assert len(plane.place.launches) == len(set(plane.place.launches)) == len(jobs)


def test_a_backup_beside_a_busy_service_is_of_one_moment(
    plane: ControlPlane, elsewhere: Installation, tmp_path: Path
) -> None:
    other = plane.open()
    jobs = [plane.submit(submission=number) for number in range(1, 9)]
    plane.place.at_once = True
    with plane.reconciler("busy", store=other):
        for job in jobs:
            plane.approve(job)
        back_up(installation(plane), tmp_path / "backup")
    other.close()
    restore(elsewhere, tmp_path / "backup")
    store = opened(plane, elsewhere)
    for job in store.jobs.page():
        events = store.jobs.events(job.id)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert events[-1].state == job.state.value
        if job.result_digest is not None:
            assert store.blobs.read(job.result_digest)
    store.close()


def test_nothing_is_restored_over_a_database(plane: ControlPlane, tmp_path: Path) -> None:
    plane.submit()
    back_up(installation(plane), tmp_path / "backup")
    job = plane.submit(submission=2)
    with pytest.raises(StoreError, match="a database already"):
        restore(installation(plane), tmp_path / "backup")
    assert plane.state(job) is JobState.CREATED


def test_no_file_is_overwritten_and_only_its_writer_may_read_it(
    plane: ControlPlane, tmp_path: Path
) -> None:
    back_up(installation(plane), tmp_path / "backup")
    assert (tmp_path / "backup").stat().st_mode & 0o077 == 0
    with pytest.raises(StoreError, match="a file of that name"):
        back_up(installation(plane), tmp_path / "backup")


def test_a_damaged_blob_leaves_no_backup(plane: ControlPlane, tmp_path: Path) -> None:
    digest = digest_bytes(SEALED).removeprefix("sha256:")
    kept = plane.folder / "store" / "blobs" / digest[:2] / digest
    kept.chmod(0o644)
    for bytes_now in (SEALED[::-1], SEALED[:-1]):
        kept.write_bytes(bytes_now)
        with pytest.raises(DamagedBlobError):
            back_up(installation(plane), tmp_path / "backup")
        assert [path.name for path in tmp_path.iterdir()] == ["plane"]


def rewritten(source: Path, target: Path, change: Callable[[str, bytes], bytes | None]) -> None:
    """Copy an archive, file by file, as `change` gives them; None leaves one out."""
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        for entry in old:
            content = old.extractfile(entry)
            assert content is not None
            data = change(entry.name, content.read())
            if data is not None:
                entry.size = len(data)
                new.addfile(entry, io.BytesIO(data))


BLOB = digest_bytes(SEALED)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("database", lambda data: data[:-1] + b"?"),
        ("database", lambda _: None),
        (BLOB, lambda data: data[::-1]),
        (BLOB, lambda _: None),
        ("backup.json", lambda data: data.replace(b'"format":1', b'"format":"x"')),
        ("backup.json", lambda data: data.replace(b'"revision":"', b'"revision":"9')),
    ],
)
def test_a_changed_backup_is_refused_and_leaves_no_database(
    plane: ControlPlane,
    elsewhere: Installation,
    tmp_path: Path,
    name: str,
    change: Callable[[bytes], bytes | None],
) -> None:
    back_up(installation(plane), tmp_path / "good")
    rewritten(
        tmp_path / "good",
        tmp_path / "bad",
        lambda found, data: change(data) if found == name else data,
    )
    with pytest.raises((MalformedError, StoreError)):
        restore(elsewhere, tmp_path / "bad")
    assert not list(elsewhere.folder.glob("manatee.db*"))
    restore(elsewhere, tmp_path / "good")
    store = opened(plane, elsewhere)
    assert store.blobs.read(BLOB) == SEALED
    store.close()


def test_a_truncated_backup_is_refused(
    plane: ControlPlane, elsewhere: Installation, tmp_path: Path
) -> None:
    back_up(installation(plane), tmp_path / "good")
    whole = (tmp_path / "good").read_bytes()
    for length in (0, 100, 700, len(whole) // 2):
        (tmp_path / "bad").write_bytes(whole[:length])
        with pytest.raises(MalformedError):
            restore(elsewhere, tmp_path / "bad")
    with pytest.raises(MalformedError, match="no such"):
        restore(elsewhere, tmp_path / "missing")


def test_there_is_nothing_to_back_up_without_a_database(tmp_path: Path, database_url: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with pytest.raises(StoreError, match="no database"):
        back_up(Installation(home, database_url, Settings().blob_store_url), tmp_path / "backup")
    assert list(home.iterdir()) == []


def test_a_password_reaches_the_programs_by_a_file_and_not_by_their_arguments(
    tmp_path: Path, postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    run = subprocess.run

    def watched(arguments: list[str], **options: Any) -> Any:
        seen.append(arguments)
        passed = re.search(r"passfile=([^&]+)", arguments[-2])
        assert passed is not None
        file = Path(unquote(passed[1]))
        assert file.read_text() == "*:*:*:*:hun\\:ter\\\\2\n"
        assert file.stat().st_mode & 0o077 == 0
        return run(arguments, **options)

    with fresh_database(postgresql) as url:
        with_password = url.replace("//postgres@", "//postgres:hun%3Ater%5C2@")
        open_store(tmp_path / "home", clock=SettableClock(), database_url=with_password).close()
        monkeypatch.setattr(subprocess, "run", watched)
        back_up(Installation(tmp_path / "home", with_password, ""), tmp_path / "backup")
        monkeypatch.undo()
    assert [Path(arguments[0]).name for arguments in seen] == ["pg_dump"]
    assert not any("hun" in argument for argument in seen[0])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "home"]


def test_a_backup_goes_back_only_to_the_kind_of_database_it_came_from(
    tmp_path: Path, postgresql: str
) -> None:
    open_store(tmp_path / "home", clock=SettableClock()).close()
    back_up(Installation(tmp_path / "home", "", ""), tmp_path / "backup")
    with fresh_database(postgresql) as url:
        other = Installation(tmp_path / "other", url, "")
        with pytest.raises(StoreError, match="of sqlite, and database_url of postgresql"):
            restore(other, tmp_path / "backup")
