"""Reconcilers that die between any two effects, and several on one store."""

from pathlib import Path

import pytest

from manatee.jobs import JobState
from manatee.ledger import LogReader, read_folder
from manatee.testing import ControlPlane, GuestScript
from manatee.testing._control_plane import OUTPUTS


class Crash(BaseException):
    """Stands for a kill: nothing catches it."""


class CrashAt:
    def __init__(self, number: int) -> None:
        self.number = number
        self.passed = 0

    def __call__(self, _point: str) -> None:
        self.passed += 1
        if self.passed == self.number:
            raise Crash


def play(plane: ControlPlane, story: str, crash_at: int) -> tuple[JobState, int, bool]:
    """Bring a new job to its end; returns its state, the points passed, whether it crashed."""
    if story == "fails":
        plane.place.default_script = GuestScript(outputs=OUTPUTS, result=None)
    job = plane.submit(submission=crash_at + 1)
    plane.approve(job)
    crash = CrashAt(crash_at)
    crashed = False
    first = plane.reconciler("first", after_step=crash)
    second = plane.reconciler("second")
    for turn in range(40):
        one = second if crashed else first
        if turn == 1 and story == "cancelled":
            now = plane.store.jobs.get(job.id)
            if not now.terminal:
                plane.store.jobs.write(now, JobState.CANCELLING)
        try:
            one.settle()
        except Crash:
            crashed = True
            plane.clock.put_forward(60)  # the lease of the dead expires
        for name in plane.place.guests():
            plane.place.advance(name)
        if plane.store.jobs.get(job.id).terminal:
            break
    return plane.state(job), crash.passed, crashed


def logged(plane: ControlPlane) -> int:
    """Return how many entries the log of runs has."""
    return LogReader(read_folder(plane.folder / "run-log")).checkpoint().checkpoint.size


@pytest.mark.parametrize(
    ("story", "end"),
    [
        ("released", JobState.RELEASED),
        ("fails", JobState.FAILED),
        ("cancelled", JobState.CANCELLED),
    ],
)
def test_a_crash_at_any_point_changes_nothing_in_the_end(
    tmp_path: Path, database_url: str, story: str, end: JobState
) -> None:
    plane = ControlPlane(tmp_path, at_once=False, database_url=database_url)
    state, points, _ = play(plane, story, 0)
    assert state is end
    assert points > 10
    assert logged(plane) == (1 if story == "released" else 0)
    for number in range(1, points + 1):
        runs, launches = logged(plane), len(plane.place.launches)
        state, _, crashed = play(plane, story, number)
        assert crashed
        assert state is end, number
        # a job cancelled while nobody minded it is never launched at all
        launched = len(plane.place.launches) - launches
        assert launched in ((0, 1) if story == "cancelled" else (1,)), number
        assert plane.place.guests() == []
        # the run is in the log of runs once, wherever the crash was
        assert logged(plane) - runs == (1 if story == "released" else 0), number
    plane.store.close()


def test_who_slept_before_a_launch_does_not_start_a_guest_that_has_come_and_gone(
    tmp_path: Path, database_url: str
) -> None:
    plane = ControlPlane(tmp_path, database_url=database_url)
    job = plane.submit()
    plane.approve(job)

    def sleep_while_another_works(point: str) -> None:
        if point == "before launch" and plane.place.launches == []:
            plane.clock.put_forward(60)
            plane.reconciler("second").settle()
            assert plane.state(job) is JobState.RELEASED

    plane.reconciler("first", after_step=sleep_while_another_works).settle()
    assert len(plane.place.launches) == 1
    assert plane.place.guests() == []
    plane.store.close()


def test_two_reconcilers_on_one_store_launch_every_guest_once(
    tmp_path: Path, database_url: str
) -> None:
    plane = ControlPlane(tmp_path, database_url=database_url)
    other = plane.open()
    jobs = [plane.submit(submission=number) for number in range(1, 13)]
    with (
        plane.reconciler("one", lease_seconds=1.0, max_jobs_in_flight=4),
        plane.reconciler("two", store=other, lease_seconds=1.0, max_jobs_in_flight=4),
    ):
        for job in jobs:
            plane.approve(job)
        seen = 0
        while any(not plane.store.jobs.get(job.id).terminal for job in jobs):
            seen = plane.store.changes.wait(seen, 1.0)
    assert {plane.state(job) for job in jobs} == {JobState.RELEASED}
    assert len(plane.place.launches) == len(set(plane.place.launches)) == len(jobs)
    other.close()
    plane.store.close()


def test_a_stopped_reconciler_gives_its_jobs_back_at_once(tmp_path: Path) -> None:
    plane = ControlPlane(tmp_path, at_once=False)
    job = plane.submit()
    plane.approve(job)
    seen = plane.store.changes.count
    with plane.reconciler("one"):
        while plane.state(job) is not JobState.LAUNCHING:
            seen = plane.store.changes.wait(seen, 1.0)
    claimed = plane.store.leases.claim("two", seconds=1, limit=5, max_jobs_in_flight=2)
    assert [found.id for found in claimed] == [job.id]
    plane.store.close()
