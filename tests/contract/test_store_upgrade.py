"""Jobs in flight outlive the way from the first schema to this release's, on either database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from manatee.jobs import JobState
from manatee.store import migrate_database
from manatee.store._migrate import newest
from manatee.testing import ControlPlane


@pytest.fixture
def plane(tmp_path: Path, database_url: str) -> Iterator[ControlPlane]:
    made = ControlPlane(tmp_path, database_url=database_url)
    yield made
    made.store.close()


def test_jobs_in_flight_end_as_they_would_have(plane: ControlPlane) -> None:
    plane.place.at_once = False
    ended, running, waiting = (plane.submit(submission=number) for number in (1, 2, 3))
    plane.place.at_once = True
    plane.approve(ended)
    plane.reconciler("one").settle()
    assert plane.state(ended) is JobState.RELEASED
    plane.place.at_once = False
    plane.approve(running)
    plane.reconciler("two").settle()
    before = {job.id: job for job in plane.store.jobs.page()}
    assert before[running.id].guest_name is not None
    usage = plane.store.projects.get("study").usage
    plane.store.close()

    home, url = plane.folder / "store", plane.settings.database_url
    assert migrate_database(home, url, "0001") == (newest(), "0001")
    assert migrate_database(home, url) == ("0001", newest())

    plane.store = plane.open()
    after = {job.id: job for job in plane.store.jobs.page()}
    assert after.keys() == before.keys()
    for name, job in after.items():
        assert (job.state, job.guest_name, job.manifest, job.organisation) == (
            before[name].state,
            before[name].guest_name,
            before[name].manifest,
            "alice",
        )
    project = plane.store.projects.get("study")
    assert project.state == "open"
    assert project.agreed == ("alice", "hospital")
    assert project.usage.jobs == usage.jobs == 2
    assert plane.store.accounts.authenticate(plane.tokens["hospital"]).organisations == {
        "hospital": frozenset({"data_provider", "output_reviewer"})
    }
    plane.approve(waiting)
    reconciler = plane.reconciler("three", max_jobs_in_flight=5)
    for _ in range(20):
        for guest in plane.place.guests():
            plane.place.advance(guest)
        reconciler.settle()
    assert plane.state(running) is JobState.RELEASED
    assert plane.state(waiting) is JobState.RELEASED
    assert plane.store.projects.get("study").usage.jobs == 0
    assert (
        plane.store.jobs.submit(plane.manifest(submission=4), max_queued_jobs=10).state
        is JobState.CREATED
    )
