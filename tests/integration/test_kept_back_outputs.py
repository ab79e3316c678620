"""What was not released is not named to its researcher either."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from manatee.api import create_app, serve_in_thread
from manatee.client import ManateeClient
from manatee.errors import ConflictError
from manatee.jobs import JobState
from manatee.records import Review
from manatee.store import Job
from manatee.testing import ControlPlane
from manatee.testing._control_plane import RUNTIME, guest_result
from manatee.testing._memory_backend import GuestScript


class Desk:
    def __init__(self, plane: ControlPlane, url: str) -> None:
        self.plane, self.url = plane, url
        self.reconciler = plane.reconciler()
        self.job: Job = plane.submit()
        plane.approve(self.job)
        self.reconciler.settle()

    def client(self, name: str) -> ManateeClient:
        return ManateeClient(self.url, self.plane.tokens[name])

    def is_withheld(self, name: str) -> bool:
        with self.client(name) as client:
            try:
                return not client.result(self.job.id).envelope
            except ConflictError:
                return True

    def decide(self, decision: str) -> None:
        with self.client("hospital") as hospital:
            hospital.review(
                self.job.id,
                Review(decision=decision, reason="looked at"),  # type: ignore[arg-type]
            )
        self.reconciler.settle()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    plane = ControlPlane(tmp_path, release="reviewer")
    app = create_app(
        plane.store, plane.settings, plane.clock, runtimes=[RUNTIME], run_log=plane.run_log
    )
    with serve_in_thread(app) as url:
        yield Desk(plane, url)
    plane.store.close()


def test_while_it_waits_for_review_its_reviewers_alone_see_the_statement(desk: Desk) -> None:
    assert desk.plane.state(desk.job) is JobState.AWAITING_RELEASE
    assert desk.is_withheld("alice")
    assert desk.is_withheld("carol")
    assert not desk.is_withheld("hospital")


def test_nor_does_the_log_of_runs_give_it_away(desk: Desk) -> None:
    answer = httpx.get(
        f"{desk.url}/v1/jobs/{desk.job.id}/log-proof",
        headers={"authorization": f"Bearer {desk.plane.tokens['alice']}"},
        trust_env=False,
    )
    assert answer.status_code == 409


def test_a_researcher_never_learns_what_was_kept_back(desk: Desk) -> None:
    desk.decide("reject")
    assert desk.plane.state(desk.job) is JobState.REJECTED
    assert desk.is_withheld("alice")
    assert not desk.is_withheld("hospital")


def test_nor_what_a_stop_kept_back(desk: Desk) -> None:
    desk.plane.store.projects.stop("study", by="hospital", reason="no")
    desk.reconciler.settle()
    assert desk.plane.state(desk.job) is JobState.CANCELLED
    assert desk.is_withheld("alice")


def test_a_failed_job_shows_its_statement(desk: Desk) -> None:
    """It left nothing to decide on, and may hold a report that was paid for."""
    desk.plane.place.default_script = GuestScript(
        outputs=None, result=lambda plan: guest_result(plan, succeeded=False, sealed=None)
    )
    desk.job = desk.plane.submit(submission=2)
    desk.plane.approve(desk.job)
    desk.reconciler.settle()
    assert desk.plane.state(desk.job) is JobState.FAILED
    assert not desk.is_withheld("alice")


def test_what_was_released_is_proved_to_all_who_may_know_of_it(desk: Desk) -> None:
    with desk.client("hospital") as hospital:
        digest = desk.plane.upload("hospital", b"sealed again, for the researcher")
        hospital.review(
            desk.job.id,
            Review(decision="approve", reason="small", outputs_digest=digest),
        )
    desk.reconciler.settle()
    assert desk.plane.state(desk.job) is JobState.RELEASED
    for name in ("alice", "carol", "hospital"):
        assert not desk.is_withheld(name)
