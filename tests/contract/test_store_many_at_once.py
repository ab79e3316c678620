"""Many threads and processes on one store: no limit is exceeded, no job is held twice."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from manatee.errors import DuplicateSubmissionError, LimitError
from manatee.jobs import JobState
from manatee.store import Job
from manatee.testing import ControlPlane


@pytest.fixture
def plane(tmp_path: Path, database_url: str) -> Iterator[ControlPlane]:
    made = ControlPlane(tmp_path, database_url=database_url)
    yield made
    made.store.close()


def processes(plane: ControlPlane, program: str, names: list[str]) -> list[list[str]]:
    """Run a program in as many processes as names, all at once; returns the words each printed.

    They find `store` opened and `name` set, and begin when all of them are ready.
    """
    running = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                _OPEN + program,
                str(plane.folder / "store"),
                plane.settings.database_url,
                name,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[0].split() for process in running]
    assert [process.returncode for process in running] == [0] * len(names)
    return said


_OPEN = """
import pathlib, sys
from manatee._clock import system_clock
from manatee.errors import LimitError
from manatee.jobs import JobState
from manatee.store import open_store
folder, url, name = sys.argv[1:]
store = open_store(pathlib.Path(folder), clock=system_clock, database_url=url)
print("ready", flush=True)
sys.stdin.readline()
"""

_CLAIM = """
while found := store.leases.claim(name, seconds=60, limit=2, max_jobs_in_flight=100):
    print(*[job.id for job in found])
store.close()
"""

_BUILD = """
for job in store.leases.claim(name, seconds=60, limit=3, max_jobs_in_flight=100):
    try:
        store.jobs.write(job, JobState.BUILDING, owner=name, in_flight_limit=3)
        print(job.id)
    except LimitError:
        pass
store.close()
"""


def test_fifty_submissions_at_once_never_exceed_the_queue(plane: ControlPlane) -> None:
    stores = [plane.open() for _ in range(4)]

    def submit(number: int) -> bool:
        manifest = plane.manifest(submission=number + 1)
        try:
            stores[number % 4].jobs.submit(manifest, max_queued_jobs=20)
        except LimitError:
            return False
        return True

    with ThreadPoolExecutor(50) as pool:
        taken = list(pool.map(submit, range(50)))
    assert sum(taken) == 20
    assert len(plane.store.jobs.page(limit=100)) == 20
    for store in stores:
        store.close()


def test_one_manifest_from_many_connections_is_one_job(plane: ControlPlane) -> None:
    stores = [plane.open() for _ in range(4)]

    def submit(number: int) -> str:
        try:
            return stores[number % 4].jobs.submit(plane.manifest(), max_queued_jobs=20).id
        except DuplicateSubmissionError as error:
            return error.message

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(submit, range(20)))
    (job,) = plane.store.jobs.page()
    assert answers.count(job.id) == 1
    assert all(job.id in answer for answer in answers)
    for store in stores:
        store.close()


def test_four_processes_never_hold_one_job(plane: ControlPlane) -> None:
    wanted = {plane.submit(submission=number).id for number in range(1, 25)}
    claimed = processes(plane, _CLAIM, ["one", "two", "three", "four"])
    assert sorted(job for jobs in claimed for job in jobs) == sorted(wanted)


def test_four_processes_never_exceed_the_slots(plane: ControlPlane) -> None:
    for number in range(1, 13):
        approved(plane, plane.submit(submission=number))
    built = processes(plane, _BUILD, ["one", "two", "three", "four"])
    assert sum(len(jobs) for jobs in built) == 3


def test_a_reconciler_of_another_process_sees_a_job_within_its_poll_time(
    plane: ControlPlane,
) -> None:
    other = plane.open()
    with plane.reconciler("elsewhere", store=other):
        job = plane.submit()
        plane.approve(job)
        seen, looks = 0, 0
        while plane.state(job) is not JobState.RELEASED:
            # what the other one commits is told to its own waiters only: this one polls
            seen = plane.store.changes.wait(seen, 0.2)
            looks += 1
            assert looks < 100
    other.close()


def approved(plane: ControlPlane, job: Job) -> None:
    """Bring a job to the state where it waits for a slot."""
    for state in (JobState.CHECKING, JobState.AWAITING_APPROVAL, JobState.APPROVED):
        job = plane.store.jobs.write(job, state)
