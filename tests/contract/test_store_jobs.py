from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from manatee.errors import (
    ConflictError,
    DuplicateSubmissionError,
    LimitError,
    StoreError,
    TransitionError,
    UnknownDatasetError,
)
from manatee.jobs import JobState
from manatee.records import DatasetUse, GuestEvent, digest_bytes
from manatee.store import JobUpdate
from manatee.testing import ControlPlane


@pytest.fixture
def plane(tmp_path: Path, database_url: str):
    made = ControlPlane(tmp_path, database_url=database_url)
    yield made
    made.store.close()


def count(plane: ControlPlane, table: str) -> int:
    with plane.store.database.read() as session:
        return int(session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def test_twenty_identical_submissions_at_once_make_one_job(plane: ControlPlane) -> None:
    def submit(_: int) -> str:
        try:
            return plane.submit().id
        except DuplicateSubmissionError as error:
            return error.message

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(submit, range(20)))
    (job,) = plane.store.jobs.page()
    assert answers.count(job.id) == 1
    assert all(job.id in answer for answer in answers)


def test_a_raised_submission_number_is_another_job(plane: ControlPlane) -> None:
    first = plane.submit()
    with pytest.raises(DuplicateSubmissionError) as caught:
        plane.submit()
    assert "raise submission to 2" in caught.value.hint
    assert plane.submit(submission=2).id != first.id


def test_the_queue_is_bounded_in_the_submit_transaction(plane: ControlPlane) -> None:
    plane.store.jobs.submit(plane.manifest(), max_queued_jobs=1)
    with pytest.raises(LimitError):
        plane.store.jobs.submit(plane.manifest(submission=2), max_queued_jobs=1)


@pytest.mark.parametrize("name", ["insurance", "births"])
def test_unknown_data_sets_are_refused_and_nothing_is_kept(plane: ControlPlane, name: str) -> None:
    version = plane.entry.version if name == "births" else digest_bytes(b"no")
    with pytest.raises(UnknownDatasetError):
        plane.submit(datasets=(DatasetUse(name=name, version=version),))
    assert count(plane, "jobs") == count(plane, "job_events") == 0


def test_each_transition_writes_job_event_and_outbox(plane: ControlPlane) -> None:
    job = plane.submit()
    plane.store.jobs.write(job, JobState.CHECKING)
    assert [event.state for event in plane.store.jobs.events(job.id)] == ["created", "checking"]
    assert count(plane, "outbox") == 2


def test_a_transition_is_written_wholly_or_not_at_all(plane: ControlPlane) -> None:
    job = plane.submit()
    with plane.store.database.connection() as connection:
        connection.execute(text("ALTER TABLE outbox RENAME TO elsewhere"))
    with pytest.raises(StoreError):
        plane.store.jobs.write(job, JobState.CHECKING)
    assert plane.state(job) is JobState.CREATED
    assert len(plane.store.jobs.events(job.id)) == 1


def test_a_write_over_a_newer_version_is_refused(plane: ControlPlane) -> None:
    job = plane.submit()
    plane.store.jobs.write(job, JobState.CANCELLING)
    with pytest.raises(ConflictError):
        plane.store.jobs.write(job, JobState.CHECKING)
    assert plane.state(job) is JobState.CANCELLING


def test_a_write_without_the_lease_is_refused(plane: ControlPlane) -> None:
    job = plane.submit()
    plane.store.leases.claim("one", seconds=10, limit=5, max_jobs_in_flight=1)
    with pytest.raises(ConflictError):
        plane.store.jobs.write(job, JobState.CHECKING, owner="two")
    plane.store.jobs.write(job, JobState.CHECKING, owner="one")


def test_steps_outside_the_table_are_refused(plane: ControlPlane) -> None:
    job = plane.submit()
    with pytest.raises(TransitionError):
        plane.store.jobs.write(job, JobState.RELEASED)


def test_progress_is_numbered_with_the_states_and_stored_once(plane: ControlPlane) -> None:
    job = plane.submit()
    plane.store.leases.claim("one", seconds=10, limit=5, max_jobs_in_flight=1)
    events = [GuestEvent(seq=n, phase="running", cell=n + 1, cells_total=2) for n in range(2)]
    job = plane.store.jobs.add_progress(job, events, owner="one")
    job = plane.store.jobs.add_progress(job, events, owner="one")
    plane.store.jobs.write(job, JobState.CHECKING, owner="one")
    stored = plane.store.jobs.events(job.id)
    assert [(event.seq, event.kind) for event in stored] == [
        (1, "state"),
        (2, "progress"),
        (3, "progress"),
        (4, "state"),
    ]


def test_a_new_attempt_forgets_the_last_guest(plane: ControlPlane) -> None:
    job = plane.submit()
    job = plane.store.jobs.write(job, job.state, JobUpdate(guest_name="g", handle="{}"))
    job = plane.store.jobs.write(job, job.state, JobUpdate(new_attempt=2))
    assert (job.attempt, job.guest_name, job.handle, job.guest_seq) == (2, None, None, -1)


def test_a_job_is_held_by_one_reconciler_until_its_lease_expires(plane: ControlPlane) -> None:
    def claim(owner: str) -> list[str]:
        found = plane.store.leases.claim(owner, seconds=10, limit=5, max_jobs_in_flight=1)
        return [job.id for job in found]

    job = plane.submit()
    assert claim("one") == [job.id]
    assert claim("two") == []
    plane.clock.put_forward(8)
    assert plane.store.leases.renew("one", [job.id], seconds=10) == {job.id}
    plane.clock.put_forward(8)
    assert claim("two") == []
    plane.clock.put_forward(3)
    assert claim("two") == [job.id]
    assert plane.store.leases.renew("one", [job.id], seconds=10) == frozenset()


def test_a_job_given_back_waits_until_something_wakes_it(plane: ControlPlane) -> None:
    plane.submit()
    (job,) = plane.store.leases.claim("one", seconds=10, limit=5, max_jobs_in_flight=1)
    plane.store.leases.release("one", job, again_in=60)
    assert not plane.store.leases.claim("one", seconds=10, limit=5, max_jobs_in_flight=1)
    plane.approve(job)
    assert plane.store.leases.claim("one", seconds=10, limit=5, max_jobs_in_flight=1)


def test_what_a_wrong_clock_set_far_ahead_holds_nobody_up_for_long(plane: ControlPlane) -> None:
    plane.submit()

    def claim(owner: str) -> int:
        return len(plane.store.leases.claim(owner, seconds=10, limit=5, max_jobs_in_flight=1))

    plane.clock.put_forward(3600)
    (job,) = plane.store.leases.claim("ahead", seconds=10, limit=5, max_jobs_in_flight=1)
    plane.clock.put_forward(-3600)  # and "ahead" is dead
    assert claim("two") == 1
    plane.clock.put_forward(3600)
    plane.store.leases.claim("ahead", seconds=10, limit=5, max_jobs_in_flight=1)
    plane.store.leases.release("ahead", job, again_in=60)
    plane.clock.put_forward(-3600)
    assert claim("two") == 1
    assert claim("three") == 0  # a plain lease still holds
