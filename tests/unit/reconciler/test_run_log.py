"""A job that left a statement does not end before its run is in the log of runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from manatee.bundle import read_statement, run_entry
from manatee.errors import StoreError
from manatee.jobs import JobState
from manatee.ledger import LogReader, read_folder
from manatee.records import GuestResult, Review, read_record, unbase64
from manatee.store import Job
from manatee.testing import ControlPlane, GuestScript
from manatee.testing._control_plane import OUTPUTS


@pytest.fixture
def plane(tmp_path: Path):
    made = ControlPlane(tmp_path)
    yield made
    made.store.close()


def entries(plane: ControlPlane) -> list[bytes]:
    reader = LogReader(read_folder(plane.folder / "run-log"))
    return list(reader.entries(0, reader.checkpoint().checkpoint.size))


def entry_of(plane: ControlPlane, job: Job) -> bytes:
    digest = plane.store.jobs.get(job.id).result_digest
    assert digest is not None
    result = read_record(plane.store.blobs.read(digest), GuestResult, what="result")
    assert result.envelope is not None
    _, payload, _ = read_statement(unbase64(result.envelope))
    return run_entry(payload, job.job_digest)


def run(plane: ControlPlane) -> Job:
    job = plane.submit()
    plane.approve(job)
    plane.reconciler().settle()
    return plane.store.jobs.get(job.id)


def test_a_released_run_is_in_the_log_though_nobody_asked_for_its_proof(
    plane: ControlPlane,
) -> None:
    job = run(plane)
    assert job.state is JobState.RELEASED
    assert entries(plane) == [entry_of(plane, job)]


def test_asking_for_the_proof_later_adds_nothing(plane: ControlPlane) -> None:
    job = run(plane)
    for _ in range(2):
        plane.run_log.prove(entry_of(plane, job))
    assert len(entries(plane)) == 1


def test_a_run_that_was_reviewed_and_rejected_is_in_the_log_too(tmp_path: Path) -> None:
    plane = ControlPlane(tmp_path, release="reviewer")
    job = run(plane)
    assert job.state is JobState.AWAITING_RELEASE
    assert entries(plane) == []
    review = Review(decision="reject", reason="too few people")
    plane.store.decisions.review(job, review, provider="hospital", reviewer="hospital")
    plane.reconciler().settle()
    assert plane.state(job) is JobState.REJECTED
    assert entries(plane) == [entry_of(plane, job)]
    plane.store.close()


def test_a_run_without_a_statement_has_no_entry(plane: ControlPlane) -> None:
    plane.place.default_script = GuestScript(outputs=OUTPUTS, result=None)
    assert run(plane).state is JobState.FAILED
    assert entries(plane) == []


def test_as_long_as_the_log_cannot_be_written_nothing_is_released_and_the_run_is_not_lost(
    plane: ControlPlane,
) -> None:
    checkpoint = plane.folder / "run-log" / "checkpoint"
    genuine = checkpoint.read_bytes()
    checkpoint.write_bytes(genuine.replace(b"\n0\n", b"\n1\n"))
    job = plane.submit()
    plane.approve(job)
    for _ in range(2):
        with pytest.raises(StoreError, match="log of runs"):
            plane.reconciler().settle()
        plane.clock.put_forward(60)
        assert plane.state(job) is JobState.AWAITING_RELEASE
    checkpoint.write_bytes(genuine)
    plane.reconciler().settle()
    assert plane.state(job) is JobState.RELEASED
    assert entries(plane) == [entry_of(plane, job)]
