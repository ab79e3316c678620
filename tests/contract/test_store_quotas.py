"""Quotas on either database: taken with what uses them, given back at the end, never exceeded."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from manatee.errors import LimitError
from manatee.jobs import JobState
from manatee.records import Quota, Usage, digest_bytes, resource_class
from manatee.store import Job, Store
from manatee.testing import ControlPlane

TINY = resource_class("tiny").wall_seconds


@pytest.fixture
def plane(tmp_path: Path, database_url: str) -> Iterator[ControlPlane]:
    made = ControlPlane(tmp_path, database_url=database_url)
    yield made
    made.store.close()


def usage(store: Store, kind: str) -> Usage:
    if kind == "organisation":
        return store.organisations.get("alice").usage
    return store.projects.get("study").usage


def set_quota(store: Store, kind: str, quota: Quota) -> None:
    if kind == "organisation":
        store.organisations.set_quota("alice", quota)
    else:
        store.projects.set_quota("study", quota)


both = pytest.mark.parametrize("kind", ["organisation", "project"])


@both
@pytest.mark.parametrize("what", ["jobs", "guest_seconds"])
def test_fifty_submissions_at_once_never_exceed_a_quota(
    plane: ControlPlane, kind: str, what: str
) -> None:
    room = 7
    set_quota(
        plane.store,
        kind,
        Quota(jobs=room) if what == "jobs" else Quota(guest_seconds=room * TINY + TINY - 1),
    )
    stores = [plane.open() for _ in range(5)]

    def submit(number: int) -> Job | None:
        manifest = plane.manifest(submission=number)
        try:
            return stores[number % 5].jobs.submit(manifest, max_queued_jobs=1000)
        except LimitError:
            return None

    with ThreadPoolExecutor(50) as pool:
        taken = [job for job in pool.map(submit, range(1, 51)) if job is not None]
    for store in stores:
        store.close()
    assert len(taken) == room
    used = usage(plane.store, kind)
    assert (used.jobs, used.guest_seconds) == (room, room * TINY)
    assert len(plane.store.jobs.page(limit=200)) == room


@both
def test_a_job_that_ends_gives_back_what_it_did_not_use(plane: ControlPlane, kind: str) -> None:
    set_quota(plane.store, kind, Quota(jobs=1))
    first = plane.submit()
    with pytest.raises(LimitError, match="1 jobs at a time"):
        plane.submit(submission=2)
    plane.approve(first)
    plane.reconciler().settle()
    assert plane.state(first) is JobState.RELEASED
    after = usage(plane.store, kind)
    assert after.jobs == 0
    assert after.guest_seconds <= 10, "it took a moment, not the two minutes of its class"
    second = plane.submit(submission=2)
    plane.store.jobs.write(second, JobState.CANCELLING)
    plane.reconciler().settle()
    assert usage(plane.store, kind).guest_seconds == after.guest_seconds, "it never started"


def test_guest_time_is_what_the_clock_says_and_no_more_than_all_attempts(
    plane: ControlPlane,
) -> None:
    plane.place.at_once = False
    job = plane.submit()
    plane.approve(job)
    reconciler = plane.reconciler()
    reconciler.settle()
    plane.clock.put_forward(50)
    plane.store.jobs.write(plane.store.jobs.get(job.id), JobState.CANCELLING)
    for _ in range(3):
        reconciler.settle()
    assert plane.state(job) is JobState.CANCELLED
    assert 50 <= usage(plane.store, "project").guest_seconds <= 60
    other = plane.submit(submission=2)
    plane.approve(other)
    reconciler.settle()
    plane.clock.put_forward(10**6)  # a clock that jumps must not eat the quota
    plane.store.jobs.write(plane.store.jobs.get(other.id), JobState.CANCELLING)
    for _ in range(3):
        reconciler.settle()
    assert plane.state(other) is JobState.CANCELLED
    assert usage(plane.store, "project").guest_seconds <= 60 + 3 * TINY


def test_storage_is_counted_once_and_what_is_over_a_quota_is_not_kept(
    plane: ControlPlane,
) -> None:
    store = plane.store
    before = usage(store, "organisation").stored_bytes
    assert before == len(plane.workspace)
    plane.upload("alice", b"x" * 100)
    plane.upload("alice", b"x" * 100)
    plane.upload("bob", b"x" * 100)
    assert usage(store, "organisation").stored_bytes == before + 100
    store.organisations.set_quota("alice", Quota(stored_bytes=before + 150))
    with pytest.raises(LimitError, match="bytes of storage"):
        plane.upload("alice", b"y" * 51)
    assert store.blobs.find(digest_bytes(b"y" * 51)) is None
    assert not [path for path in store.blobs.incoming.iterdir() if path.is_file()]
    assert digest_bytes(b"y" * 51).removeprefix("sha256:") not in {
        path.name for path in (plane.folder / "store" / "blobs").rglob("*")
    }
    plane.upload("alice", b"z" * 50)
    plane.upload("alice", b"x" * 100)


def test_a_project_pays_for_workspaces_and_outputs(plane: ControlPlane) -> None:
    plane.store.projects.set_quota("study", Quota(stored_bytes=len(plane.workspace)))
    job = plane.submit()
    with pytest.raises(LimitError):
        plane.submit(submission=2)
    plane.approve(job)
    plane.reconciler().settle()
    done = plane.store.jobs.get(job.id)
    assert done.outputs_digest is not None
    assert done.result_digest is not None
    kept = [plane.store.blobs.find(item) for item in (done.outputs_digest, done.result_digest)]
    sizes = sum(blob.size for blob in kept if blob is not None)
    assert usage(plane.store, "project").stored_bytes == len(plane.workspace) + sizes


def test_lowering_a_quota_keeps_what_runs(plane: ControlPlane) -> None:
    job = plane.submit()
    plane.store.projects.set_quota("study", Quota(jobs=0, guest_seconds=0, stored_bytes=0))
    plane.approve(job)
    plane.reconciler().settle()
    assert plane.state(job) is JobState.RELEASED
    with pytest.raises(LimitError):
        plane.submit(submission=2)
