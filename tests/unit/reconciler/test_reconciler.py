import json
from pathlib import Path

import msgspec
import pytest

from manatee.backends import GuestState
from manatee.jobs import JobState
from manatee.records import (
    Cause,
    DatasetUse,
    ExitStatus,
    GuestPlan,
    GuestResult,
    Review,
    digest_bytes,
    digest_record,
)
from manatee.store import Job
from manatee.testing import ControlPlane, GuestScript, guest_result
from manatee.testing._control_plane import OUTPUTS, SEALED
from manatee.workspace import pack


@pytest.fixture
def plane(tmp_path: Path):
    made = ControlPlane(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def slow(tmp_path: Path):
    made = ControlPlane(tmp_path, at_once=False)
    yield made
    made.store.close()


def settle(plane: ControlPlane) -> None:
    plane.reconciler().settle()


def guest_of(plane: ControlPlane, job: Job) -> str:
    name = plane.store.jobs.get(job.id).guest_name
    assert name is not None
    return name


def test_an_approved_job_is_run_and_released_and_leaves_no_guest(plane: ControlPlane) -> None:
    job = plane.submit()
    settle(plane)
    assert plane.state(job) is JobState.AWAITING_APPROVAL
    assert plane.place.launches == []
    plane.approve(job)
    settle(plane)
    job = plane.store.jobs.get(job.id)
    assert job.state is JobState.RELEASED
    assert job.outputs_digest == digest_bytes(OUTPUTS)
    assert plane.store.blobs.read(digest_bytes(OUTPUTS)) == OUTPUTS
    assert plane.place.guests() == []
    assert not any((plane.folder / "work").iterdir())
    states = [e.state for e in plane.store.jobs.events(job.id) if e.kind == "state"]
    assert states == [
        "created",
        "checking",
        "awaiting_approval",
        "approved",
        "building",
        "built",
        "launching",
        "attesting",
        "running",
        "output_check",
        "awaiting_release",
        "released",
    ]


def test_the_guest_gets_the_sealed_files_under_the_jobs_own_path(slow: ControlPlane) -> None:
    job = slow.submit()
    slow.approve(job)
    settle(slow)
    guest = slow.place.guest(guest_of(slow, job))
    assert guest is not None
    inputs = guest.plan.inputs
    assert job.id in str(inputs.datasets["insurance"])
    assert (inputs.datasets["insurance"] / "t.parquet").read_bytes() == SEALED
    assert inputs.workspace.read_bytes() == slow.workspace
    assert inputs.plan.approvals == slow.store.decisions.approvals(job.id)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"entry_notebook": "other.ipynb"}, "bad-notebook"),
        ({"parameters": {"unknown": 1}}, "unknown-parameter"),
        ({"parameters": {"threshold": "three"}}, "unknown-parameter"),
        ({"backend_kind": "cloud"}, "bad-manifest"),
        ({"runtime_digest": digest_bytes(b"other")}, "bad-runtime"),
        ({"output_policy_digest": digest_bytes(b"lax")}, "bad-manifest"),
        ({"workspace_digest": digest_bytes(b"none")}, "bad-workspace"),
        ({"workspace_digest": digest_bytes(SEALED)}, "bad-workspace"),
    ],
)
def test_a_job_that_cannot_run_is_rejected_with_a_reason(
    plane: ControlPlane, changes: dict[str, object], code: str
) -> None:
    job = plane.submit(**changes)
    settle(plane)
    job = plane.store.jobs.get(job.id)
    assert (job.state, job.cause, job.reason_code) == (JobState.REJECTED, Cause.CHECKS, code)
    assert job.message


def workspace_with(plane: ControlPlane, source: str, **files: str) -> str:
    """Upload a workspace of Alice's whose notebook holds one cell; returns its digest."""
    folder = plane.folder / "another"
    folder.mkdir()
    notebook = json.loads((plane.folder / "source" / "analysis.ipynb").read_text())
    notebook["cells"][0]["source"] = source
    (folder / "analysis.ipynb").write_text(json.dumps(notebook))
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    pack(folder, plane.folder / "another.tar")
    return plane.upload("alice", (plane.folder / "another.tar").read_bytes())


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("x = 1\nfor x in:", "code cell 1, line 2"),
        ("import torch", "torch is not in the runtime"),
        ("!pip install torch", "Nothing can be installed"),
        ("import manatee\nmanatee.dataset('births')", "does not ask for"),
    ],
)
def test_code_that_must_fail_costs_nobody_an_approval(
    plane: ControlPlane, source: str, words: str
) -> None:
    (plane.folder / "lib" / "python3.11" / "site-packages" / "manatee").mkdir(parents=True)
    job = plane.submit(workspace_digest=workspace_with(plane, source))
    settle(plane)
    job = plane.store.jobs.get(job.id)
    assert (job.state, job.reason_code) == (JobState.REJECTED, "bad-notebook")
    assert words in job.message


@pytest.mark.parametrize(
    "source",
    [
        "import manatee, helpers\nmanatee.dataset('insurance')",
        "try:\n    import torch\nexcept ImportError:\n    pass",
        "import random\nrandom.random()",
    ],
)
def test_code_that_may_run_waits_for_approval(plane: ControlPlane, source: str) -> None:
    (plane.folder / "lib" / "python3.11" / "site-packages" / "manatee").mkdir(parents=True)
    digest = workspace_with(plane, source, helpers="x = 1")
    job = plane.submit(workspace_digest=digest)
    settle(plane)
    assert plane.state(job) is JobState.AWAITING_APPROVAL


def test_a_failed_notebook_fails_the_job_with_its_cause_and_place(plane: ControlPlane) -> None:
    status = ExitStatus(
        succeeded=False,
        cells_run=1,
        cells_total=2,
        cause=Cause.CELL_ERROR,
        cell=1,
        line=3,
        exception_class="KeyError",
    )
    plane.place.default_script = GuestScript(exit=status, outputs=None)
    job = plane.submit()
    plane.approve(job)
    settle(plane)
    job = plane.store.jobs.get(job.id)
    assert (job.state, job.cause, job.exit) == (JobState.FAILED, Cause.CELL_ERROR, status)
    assert plane.place.guests() == []


def test_a_guest_that_failed_from_outside_fails_the_job(plane: ControlPlane) -> None:
    plane.place.default_script = GuestScript(end=GuestState.FAILED, cause=Cause.TIME)
    job = plane.submit()
    plane.approve(job)
    settle(plane)
    assert plane.store.jobs.get(job.id).cause is Cause.TIME


def _unchecked(plan: GuestPlan) -> GuestResult:
    return guest_result(plan, passed=False)


def _unsigned(plan: GuestPlan) -> GuestResult:
    status = ExitStatus(succeeded=True, cells_run=1, cells_total=1)
    return GuestResult(job_digest=digest_record(plan.manifest), attempt=1, exit=status)


def _of_another_attempt(plan: GuestPlan) -> GuestResult:
    good = guest_result(plan)
    return GuestResult(
        job_digest=good.job_digest, attempt=2, exit=good.exit, envelope=good.envelope
    )


def _of_other_outputs(plan: GuestPlan) -> GuestResult:
    return guest_result(plan, sealed=b"something else")


@pytest.mark.parametrize(
    ("result", "cause"),
    [
        (_unchecked, Cause.OUTPUT_POLICY),
        (_unsigned, Cause.BACKEND),
        (_of_another_attempt, Cause.BACKEND),
        (_of_other_outputs, Cause.BACKEND),
    ],
)
def test_a_doubtful_result_is_never_released(plane: ControlPlane, result, cause: Cause) -> None:
    plane.place.default_script = GuestScript(outputs=OUTPUTS, result=result)
    job = plane.submit()
    plane.approve(job)
    settle(plane)
    job = plane.store.jobs.get(job.id)
    assert (job.state, job.cause) == (JobState.FAILED, cause)
    assert plane.place.guests() == []


def test_a_guest_lost_early_is_launched_again_under_another_name(slow: ControlPlane) -> None:
    job = slow.submit()
    slow.approve(job)
    settle(slow)
    first = guest_of(slow, job)
    slow.place.lose(first)
    settle(slow)
    again = slow.store.jobs.get(job.id)
    assert (again.attempt, again.state) == (2, JobState.LAUNCHING)
    assert slow.place.launches == [first, again.guest_name]


def test_a_guest_lost_after_its_key_request_fails_the_job(slow: ControlPlane) -> None:
    job = slow.submit()
    slow.approve(job)
    settle(slow)
    name = guest_of(slow, job)
    slow.place.advance(name)
    slow.place.request_key(name)
    settle(slow)
    slow.place.remove(name)  # gone without a trace: only the store remembers the request
    settle(slow)
    failed = slow.store.jobs.get(job.id)
    assert (failed.state, failed.cause) == (JobState.FAILED, Cause.GUEST_LOST)
    assert len(slow.place.launches) == 1


def test_cancelling_ends_only_after_the_guest_is_gone(slow: ControlPlane) -> None:
    job = slow.submit()
    slow.approve(job)
    settle(slow)
    slow.place.reachable = False
    slow.store.jobs.write(slow.store.jobs.get(job.id), JobState.CANCELLING)
    settle(slow)
    assert slow.state(job) is JobState.CANCELLING
    slow.place.reachable = True
    one = slow.reconciler()
    for _ in range(2):
        one.settle()
    assert slow.state(job) is JobState.CANCELLED
    assert slow.place.guests() == []


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_outputs_under_review_leave_only_with_the_providers_yes(
    tmp_path: Path, decision: str
) -> None:
    plane = ControlPlane(tmp_path, release="reviewer")
    job = plane.submit()
    plane.approve(job)
    settle(plane)
    assert plane.state(job) is JobState.AWAITING_RELEASE
    assert plane.place.guests() == []
    review = Review(decision=decision, reason="looked at")  # type: ignore[arg-type]
    plane.store.decisions.review(job, review, provider="hospital", reviewer="hospital")
    settle(plane)
    wanted = JobState.RELEASED if decision == "approve" else JobState.REJECTED
    assert plane.state(job) is wanted
    plane.store.close()


def test_an_approval_that_expired_does_not_count(plane: ControlPlane) -> None:
    job = plane.submit()
    plane.approve(job)
    plane.clock.put_forward(8 * 24 * 3600)
    settle(plane)
    assert plane.state(job) is JobState.AWAITING_APPROVAL


def test_no_more_jobs_are_in_flight_than_allowed(slow: ControlPlane) -> None:
    for number in range(1, 5):
        slow.approve(slow.submit(submission=number))
    one = slow.reconciler(max_jobs_in_flight=2)
    one.settle()
    assert len(slow.place.guests()) == 2
    slow.place.finish(slow.place.guests()[0])
    one.settle()
    one.settle()
    assert len(slow.place.launches) == 3


def test_the_sweeper_removes_guests_nobody_claims_and_no_others(slow: ControlPlane) -> None:
    job = slow.submit()
    slow.approve(job)
    one = slow.reconciler()
    one.settle()
    mine = guest_of(slow, job)
    assert one.sweep() == 0
    orphan = slow.submit(submission=2)
    slow.approve(orphan)
    one.settle()
    name = guest_of(slow, orphan)
    ended = slow.store.jobs.write(slow.store.jobs.get(orphan.id), JobState.CANCELLING)
    slow.store.jobs.write(ended, JobState.CANCELLED)
    assert name in slow.place.guests()
    assert one.sweep() == 1
    assert slow.place.guests() == [mine]


def test_every_provider_of_the_jobs_data_sets_must_approve(plane: ControlPlane) -> None:
    theirs = plane.publication(name="deaths")
    dataset, twin = (
        msgspec.structs.replace(item, provider="registry") for item in (theirs.dataset, theirs.twin)
    )
    entry = plane.store.datasets.publish(
        msgspec.structs.replace(theirs, dataset=dataset, twin=twin)
    )
    uses = (*plane.manifest().datasets, DatasetUse(name="deaths", version=entry.version))
    job = plane.submit(datasets=uses)
    assert job.providers == ("hospital", "registry")
    plane.approve(job)
    settle(plane)
    assert plane.state(job) is JobState.AWAITING_APPROVAL
