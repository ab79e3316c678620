"""Which write transactions run beside one another, and which never do."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import update

from manatee.errors import ProjectClosedError
from manatee.jobs import JobState
from manatee.store import Job, Store
from manatee.store._allowances import take
from manatee.store._audit import record
from manatee.store._job_rows import row_of
from manatee.store._schema import ProjectRow
from manatee.testing import ControlPlane

LONG_ENOUGH = 0.4
"""Seconds in which a transaction that need not wait is surely over."""


@pytest.fixture
def plane(tmp_path: Path, database_url: str) -> Iterator[ControlPlane]:
    made = ControlPlane(tmp_path, database_url=database_url)
    yield made
    made.store.close()


@pytest.fixture
def other(plane: ControlPlane) -> Iterator[Store]:
    """As another process would open it: no lock is shared but the database's."""
    opened = plane.open()
    yield opened
    opened.close()


@pytest.fixture
def aside() -> Iterator[ThreadPoolExecutor]:
    """Another thread."""
    with ThreadPoolExecutor(1) as pool:
        yield pool


def is_kept_waiting(doing: Future[Job]) -> bool:
    """Whether it has still not ended after a while."""
    try:
        doing.exception(timeout=LONG_ENOUGH)
    except TimeoutError:
        return True
    return False


def test_a_step_waits_for_a_project_that_is_being_stopped(
    plane: ControlPlane, other: Store, aside: ThreadPoolExecutor
) -> None:
    job = plane.submit()
    for state in (JobState.CHECKING, JobState.AWAITING_APPROVAL, JobState.APPROVED):
        job = plane.store.jobs.write(job, state)
    job = plane.store.jobs.write(job, JobState.BUILDING, in_flight_limit=1)
    with plane.store.database.write() as session:
        session.execute(update(ProjectRow).values(stopped_at="2026-01-01T00:00:00Z"))
        doing = aside.submit(other.jobs.write, job, JobState.BUILT)
        assert is_kept_waiting(doing)
    with pytest.raises(ProjectClosedError):
        doing.result(timeout=30)
    assert plane.state(job) is JobState.BUILDING


def test_what_counts_over_jobs_waits_for_the_step_of_any(
    plane: ControlPlane, other: Store, aside: ThreadPoolExecutor
) -> None:
    job = plane.submit()
    with plane.store.database.write_locked_rows() as session:
        row_of(session, job.id)
        doing = aside.submit(other.jobs.submit, plane.manifest(submission=2), max_queued_jobs=9)
        assert is_kept_waiting(doing)
    assert doing.result(timeout=30)


def test_steps_of_two_jobs_do_not_wait_for_one_another(
    plane: ControlPlane, other: Store, aside: ThreadPoolExecutor
) -> None:
    if not plane.settings.database_url:
        pytest.skip("SQLite has one writer")
    first, second = plane.submit(), plane.submit(submission=2)
    with plane.store.database.write_locked_rows() as session:
        row_of(session, first.id)
        doing = aside.submit(other.jobs.write, second, JobState.CHECKING)
        assert not is_kept_waiting(doing)
    assert plane.state(second) is JobState.CHECKING


_STEP = """
import pathlib, sys
from manatee._clock import system_clock
from manatee.errors import ConflictError
from manatee.jobs import JobState
from manatee.store import open_store
folder, url = sys.argv[1:]
store = open_store(pathlib.Path(folder), clock=system_clock, database_url=url)
jobs = store.jobs.page(limit=100)
print("ready", flush=True)
sys.stdin.readline()
for job in jobs:
    try:
        print(store.jobs.write(job, JobState.CHECKING).id)
    except ConflictError:
        pass
store.close()
"""


def test_of_three_processes_with_one_step_in_mind_one_takes_it(plane: ControlPlane) -> None:
    wanted = sorted(plane.submit(submission=number).id for number in range(1, 31))
    command = [sys.executable, "-c", _STEP]
    command += [str(plane.folder / "store"), plane.settings.database_url]
    pipe = subprocess.PIPE
    running = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(3)]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    said = []
    ends = [
        threading.Thread(target=lambda one=process: said.append(one.communicate("go\n", 60)[0]))
        for process in running
    ]
    for end in ends:
        end.start()
    for end in ends:
        end.join()
    assert [process.returncode for process in running] == [0, 0, 0]
    assert sorted(" ".join(said).split()) == wanted


def test_no_number_of_the_trail_and_no_quota_is_taken_beside_others(plane: ControlPlane) -> None:
    before = plane.store.audit.size()
    with (
        pytest.raises(RuntimeError, match="only in a transaction"),
        plane.store.database.write_locked_rows() as session,
    ):
        record(session, "2026-01-01T00:00:00Z", "alice", "job-cancelled")
    with (
        pytest.raises(RuntimeError, match="only in a transaction"),
        plane.store.database.write_locked_rows() as session,
    ):
        take(session, "project", "study", jobs=1)
    assert plane.store.audit.size() == before
