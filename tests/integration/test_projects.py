"""Clean rooms over HTTP: agreed to word for word, open for a time, stopped at once by any party."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from manatee._clock import timestamp
from manatee.api import create_app, serve_in_thread
from manatee.backends import GuestState, GuestStatus, Handle
from manatee.client import ManateeClient
from manatee.errors import (
    AuthorizationError,
    ConflictError,
    MalformedError,
    ManifestError,
    NotFoundError,
    ProjectClosedError,
    UnknownDatasetError,
)
from manatee.jobs import JobState
from manatee.policy import sign_approval
from manatee.reconciler import Reconciler
from manatee.records import (
    CodePolicy,
    KeyRequest,
    NewMember,
    Project,
    ProjectAgreement,
    ProjectParty,
    digest_bytes,
    digest_record,
)
from manatee.store import AuditQuery, Job
from manatee.testing import MEMORY_BROKER, ControlPlane, MemoryBackend
from manatee.testing._control_plane import RUNTIME

Clients = Callable[[str], ManateeClient]


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[ControlPlane]:
    made = ControlPlane(tmp_path, at_once=False)
    yield made
    made.store.close()


@pytest.fixture
def client(plane: ControlPlane) -> Iterator[Clients]:
    app = create_app(plane.store, plane.settings, plane.clock, runtimes=[RUNTIME])
    made: list[ManateeClient] = []
    with serve_in_thread(app) as url:

        def of(name: str) -> ManateeClient:
            made.append(ManateeClient(url, plane.tokens[name]))
            return made[-1]

        yield of
        for each in made:
            each.close()


def draft(plane: ControlPlane, name: str = "heart", **changes: Any) -> Project:
    now = plane.clock()
    members: dict[str, Any] = {
        "name": name,
        "purpose": "Do statins help?",
        "parties": (
            ProjectParty(organisation="hospital", approvals_needed=1),
            ProjectParty(organisation="alice"),
        ),
        "datasets": ("insurance",),
        "starts_at": timestamp(now - timedelta(minutes=1)),
        "ends_at": timestamp(now + timedelta(days=30)),
    }
    return Project(**members | changes)


def agreed(plane: ControlPlane, client: Clients, **changes: Any) -> Project:
    project = draft(plane, **changes)
    answer = client("alice").propose_project(project)
    agreement = ProjectAgreement(organisation="hospital", project_digest=answer.digest)
    client("hospital").agree(project.name, agreement)
    return project


def job_in(plane: ControlPlane, project: str, submission: int = 1) -> Job:
    return plane.submit(project=project, submission=submission)


# --- coming to an agreement ----------------------------------------------------------------------


def test_a_project_opens_when_its_last_party_has_agreed_to_its_digest(
    plane: ControlPlane, client: Clients
) -> None:
    project = draft(plane)
    answer = client("alice").propose_project(project)
    assert (answer.state, answer.agreed) == ("proposed", ("alice",))
    with pytest.raises(ProjectClosedError, match="hospital"):
        client("alice").submit(plane.manifest(project="heart"))
    wrong = ProjectAgreement(organisation="hospital", project_digest=digest_bytes(b"fine print"))
    with pytest.raises(ConflictError):
        client("hospital").agree("heart", wrong)
    right = ProjectAgreement(organisation="hospital", project_digest=digest_record(project))
    with pytest.raises(AuthorizationError):
        client("alice").agree("heart", right)
    with pytest.raises(NotFoundError):
        client("bob").agree("heart", right)
    for _ in range(2):
        assert client("hospital").agree("heart", right).state == "open"
    assert client("alice").submit(plane.manifest(project="heart")).state == "created"
    assert [item.project.name for item in client("hospital").projects()] == ["heart", "study"]
    assert [item.project.name for item in client("bob").projects()] == ["study"]


def test_a_project_never_changes_and_its_name_is_taken(
    plane: ControlPlane, client: Clients
) -> None:
    project = draft(plane)
    first = client("alice").propose_project(project)
    assert client("alice").propose_project(project) == first
    with pytest.raises(ConflictError, match="another project"):
        client("alice").propose_project(draft(plane, purpose="something else"))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        (
            {"parties": (ProjectParty(organisation="hospital", approvals_needed=1),) * 2},
            ManifestError,
        ),
        ({"datasets": ("insurance", "insurance")}, ManifestError),
        ({"ends_at": "2020-01-01T00:00:00Z"}, ManifestError),
        ({"starts_at": "2026-02-30T00:00:00Z"}, MalformedError),
        (
            {
                "parties": (
                    ProjectParty(organisation="hospital", approvals_needed=1),
                    ProjectParty(organisation="nowhere"),
                )
            },
            NotFoundError,
        ),
        ({"parties": (ProjectParty(organisation="hospital"),)}, ConflictError),
        (
            {"parties": (ProjectParty(organisation="registry", approvals_needed=1),)},
            UnknownDatasetError,
        ),
    ],
    ids=["party-twice", "data-twice", "ended", "no-date", "nobody", "no-approval", "others-data"],
)
def test_what_cannot_be_a_project_is_refused_and_nothing_is_kept(
    plane: ControlPlane, client: Clients, changes: dict[str, Any], error: type[Exception]
) -> None:
    project = draft(plane, **changes)
    by = "registry" if error is UnknownDatasetError else "hospital"
    with pytest.raises(error):
        client(by).propose_project(project)
    assert [item.project.name for item in client("olga").projects()] == ["study"]


# --- what may be submitted -----------------------------------------------------------------------


def test_a_project_takes_its_own_data_code_and_policies_only(
    plane: ControlPlane, client: Clients
) -> None:
    other = digest_bytes(b"other")
    agreed(plane, client, name="elsewhere", datasets=("births", "insurance"))
    agreed(plane, client, name="narrow", code_policy=CodePolicy(resource_classes=("small",)))
    agreed(plane, client, name="old", code_policy=CodePolicy(runtimes=(other,)))
    agreed(plane, client, name="lax", output_policies=(other,))
    for name, said in (("narrow", "small"), ("old", "runtime"), ("lax", "output policy")):
        with pytest.raises(ManifestError, match="does not allow") as refused:
            client("alice").submit(plane.manifest(project=name))
        assert said in str(refused.value)
    with pytest.raises(NotFoundError):
        client("alice").submit(plane.manifest(project="nothing"))
    agreed(plane, client, name="other-data", datasets=("births",))
    with pytest.raises(ManifestError, match="not in the project"):
        client("alice").submit(plane.manifest(project="other-data"))


def test_before_its_start_and_after_its_end_a_project_takes_nothing(
    plane: ControlPlane, client: Clients
) -> None:
    now = plane.clock()
    start, end = now + timedelta(hours=1), now + timedelta(hours=2)
    agreed(plane, client, starts_at=timestamp(start), ends_at=timestamp(end))
    for seconds, state in ((0, "agreed"), (3700, "open"), (3600, "ended")):
        plane.clock.put_forward(seconds)
        assert client("alice").project("heart").state == state
        if state == "open":
            client("alice").submit(plane.manifest(project="heart"))
        else:
            with pytest.raises(ProjectClosedError):
                client("alice").submit(plane.manifest(project="heart", submission=2))


def test_as_many_approvers_as_the_project_asks_for_must_sign(
    plane: ControlPlane, client: Clients
) -> None:
    parties = (
        ProjectParty(organisation="hospital", approvals_needed=2),
        ProjectParty(organisation="alice"),
    )
    agreed(plane, client, parties=parties)
    job = job_in(plane, "heart")
    reconciler = plane.reconciler()
    plane.approve(job)
    reconciler.settle()
    assert plane.state(job) is JobState.AWAITING_APPROVAL
    again = sign_approval(
        plane.approver.private_bytes_raw(),
        provider="hospital",
        approver="dora",
        job_digest=job.job_digest,
        at=plane.clock() + timedelta(seconds=1),
    )
    plane.store.decisions.approve(job, again)
    reconciler.settle()
    assert plane.state(job) is JobState.AWAITING_APPROVAL, "the same approver twice is one"
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from manatee.records import to_base64

    second = Ed25519PrivateKey.generate()
    plane.store.accounts.add_approval_key(
        "hospital", to_base64(second.public_key().public_bytes_raw())
    )
    yes = sign_approval(
        second.private_bytes_raw(),
        provider="hospital",
        approver="emil",
        job_digest=job.job_digest,
        at=plane.clock(),
    )
    plane.store.decisions.approve(job, yes)
    reconciler.settle()
    assert plane.state(job) not in (JobState.AWAITING_APPROVAL, JobState.CREATED)


# --- people come and go --------------------------------------------------------------------------


def test_a_membership_lapses_on_time(plane: ControlPlane, client: Clients) -> None:
    until = timestamp(plane.clock() + timedelta(hours=1))
    olga = client("olga")
    olga.add_organisation("university")
    olga.set_member("university", "bob", NewMember(role="researcher", expires_at=until))
    parties = (
        ProjectParty(organisation="hospital", approvals_needed=1),
        ProjectParty(organisation="university"),
    )
    project = draft(plane, parties=parties)
    digest = client("bob").propose_project(project).digest
    client("hospital").agree(
        "heart", ProjectAgreement(organisation="hospital", project_digest=digest)
    )
    plane.upload("bob", plane.workspace)
    mine = client("bob").submit(plane.manifest(researcher="bob", project="heart"))
    assert client("bob").job(mine.id).id == mine.id
    assert any(item.account == "bob" for item in olga.organisation("university").members)
    plane.clock.put_forward(3601)
    assert not any(item.account == "bob" for item in olga.organisation("university").members)
    assert [item.organisation for item in client("bob").whoami().memberships] == ["bob"]
    with pytest.raises(NotFoundError):
        client("bob").submit(plane.manifest(researcher="bob", project="heart", submission=2))
    for look in (client("bob").job, client("bob").result, client("bob").cancel):
        with pytest.raises(NotFoundError):
            look(mine.id)
    with pytest.raises(NotFoundError):
        client("bob").project("heart")
    assert mine.id not in {job.id for job in client("bob").jobs()}


def test_a_membership_that_would_have_lapsed_already_is_refused(client: Clients) -> None:
    with pytest.raises(MalformedError, match="passed"):
        client("olga").set_member(
            "hospital", "bob", NewMember(role="auditor", expires_at="2020-01-01T00:00:00Z")
        )
    with pytest.raises(NotFoundError):
        client("olga").end_member("hospital", "bob", "auditor")


# --- the kill switch -----------------------------------------------------------------------------


def test_any_party_stops_a_project_and_every_job_of_it_ends(
    plane: ControlPlane, client: Clients
) -> None:
    agreed(plane, client)
    jobs = {
        "running": job_in(plane, "heart", 1),
        "waiting": job_in(plane, "heart", 2),
        "elsewhere": job_in(plane, "study", 3),
    }
    plane.approve(jobs["running"])
    reconciler = plane.reconciler()
    reconciler.settle()
    assert plane.state(jobs["running"]) not in (JobState.AWAITING_APPROVAL, JobState.CREATED)
    guests = set(plane.place.guests())
    jobs["new"] = job_in(plane, "heart", 4)

    stopped = client("alice").stop_project("heart", "a subject withdrew")
    assert stopped.state == "stopped"
    assert stopped.stopped is not None
    assert (stopped.stopped.by, stopped.stopped.reason) == ("alice", "a subject withdrew")
    for _ in range(3):
        reconciler.settle()
    for name in ("running", "waiting", "new"):
        job = plane.store.jobs.get(jobs[name].id)
        assert (job.state, job.reason_code) == (JobState.CANCELLED, "project-stopped"), name
    assert plane.state(jobs["elsewhere"]) is JobState.AWAITING_APPROVAL
    assert guests
    assert plane.place.guests() == [], "no guest is left"
    with pytest.raises(ProjectClosedError, match="stopped by alice"):
        client("alice").submit(plane.manifest(project="heart", submission=9))
    with pytest.raises(ConflictError):
        client("hospital").agree(
            "heart", ProjectAgreement(organisation="hospital", project_digest=stopped.digest)
        )
    again = client("hospital").stop_project("heart", "another reason")
    assert again.stopped == stopped.stopped
    with pytest.raises(NotFoundError):
        client("alice").dataset("nothing")


def test_a_stopped_project_closes_the_catalogue_and_releases_nothing(tmp_path: Path) -> None:
    plane = ControlPlane(tmp_path, release="reviewer")
    job = plane.submit()
    plane.approve(job)
    reconciler = plane.reconciler()
    reconciler.settle()
    assert plane.state(job) is JobState.AWAITING_RELEASE
    assert plane.store.projects.datasets_open_to({"alice"}) == {"insurance"}
    plane.store.projects.stop("study", by="hospital", reason="no")
    assert plane.store.projects.datasets_open_to({"alice"}) == frozenset()
    reconciler.settle()
    assert plane.state(job) is JobState.CANCELLED
    plane.store.close()


def test_after_its_end_a_run_is_cancelled_and_what_ran_in_time_is_still_reviewed(
    tmp_path: Path,
) -> None:
    plane = ControlPlane(tmp_path, release="reviewer")
    done, waiting = plane.submit(submission=1), plane.submit(submission=2)
    plane.approve(done)
    reconciler = plane.reconciler()
    reconciler.settle()
    plane.clock.put_forward(366 * 86400)
    for _ in range(2):
        reconciler.settle()
    assert plane.state(done) is JobState.AWAITING_RELEASE
    ended = plane.store.jobs.get(waiting.id)
    assert (ended.state, ended.reason_code) == (JobState.CANCELLED, "project-ended")
    plane.store.close()


def test_no_step_forward_slips_between_the_stop_and_the_reconcilers_next_look(
    plane: ControlPlane,
) -> None:
    """A reconciler that had decided before the stop cannot write its decision after it."""
    job = plane.submit()
    job = plane.store.jobs.write(job, JobState.CHECKING)
    job = plane.store.jobs.write(job, JobState.AWAITING_APPROVAL)
    job = plane.store.jobs.write(job, JobState.APPROVED)
    plane.store.projects.stop("study", by="hospital", reason="no")
    with pytest.raises(ConflictError):
        plane.store.jobs.write(job, JobState.BUILDING)
    fresh = plane.store.jobs.get(job.id)
    assert fresh.halt == "stopped"
    with pytest.raises(ProjectClosedError):
        plane.store.jobs.write(fresh, JobState.BUILDING)
    assert plane.state(job) is JobState.APPROVED


def asking(plane: ControlPlane, reconciler: Reconciler) -> tuple[Job, str]:
    """Bring a job so far that its guest has just asked for a key; nobody has seen it yet."""
    job = plane.submit()
    plane.approve(job)
    reconciler.settle()
    (name,) = plane.place.guests()
    while plane.place.advance(name) is not GuestState.RUNNING:
        pass
    guest = plane.place.guest(name)
    assert guest is not None
    assert guest.status.key_requested
    return job, name


def allowed(plane: ControlPlane, name: str) -> bool:
    guest = plane.place.guest(name)
    return guest is not None and bool(guest.status.allowed)


def key_events(plane: ControlPlane, job: Job) -> list[tuple[str, str]]:
    events = plane.store.audit.page(AuditQuery(job=job.id))
    return [(event.action, event.outcome) for event in events if event.action.startswith("key-")]


def test_a_guest_that_waits_for_its_key_when_the_project_is_stopped_gets_none(
    tmp_path: Path,
) -> None:
    plane = ControlPlane(tmp_path, at_once=False)
    reconciler = plane.reconciler()
    job, name = asking(plane, reconciler)
    plane.store.projects.stop("study", by="hospital", reason="no")
    assert not allowed(plane, name)
    for _ in range(3):
        reconciler.settle()
        assert not allowed(plane, name)
    assert plane.state(job) is JobState.CANCELLED
    assert key_events(plane, job) == [("key-requested", MEMORY_BROKER)]
    plane.store.close()


@pytest.mark.parametrize("point", ["before write", "after write"])
def test_a_stop_while_the_wish_for_a_key_is_being_recorded_lets_none_out(
    tmp_path: Path, point: str
) -> None:
    """The stop comes on the very line before, and the line after, the request is recorded."""
    plane = ControlPlane(tmp_path, at_once=False)
    job, name = asking(plane, plane.reconciler())
    stopped = []

    def stop(reached: str) -> None:
        found = plane.store.jobs.get(job.id)
        recorded = bool(found.keys)
        if reached == point and not stopped and recorded is (point == "after write"):
            stopped.append(reached)
            plane.store.projects.stop("study", by="hospital", reason="no")
        if stopped:
            assert not allowed(plane, name)

    plane.clock.put_forward(60)  # the first reconciler's lease is over
    reconciler = plane.reconciler("two", after_step=stop)
    for _ in range(3):
        reconciler.settle()
    assert stopped == [point]
    assert not allowed(plane, name)
    assert plane.state(job) is JobState.CANCELLED
    plane.store.close()


def test_a_key_that_left_before_the_stop_stands_in_the_audit_trail(tmp_path: Path) -> None:
    plane = ControlPlane(tmp_path, at_once=False)
    reconciler = plane.reconciler()
    job, name = asking(plane, reconciler)
    reconciler.settle()
    assert allowed(plane, name)
    plane.place.finish(name)
    plane.store.projects.stop("study", by="hospital", reason="too late")
    for _ in range(3):
        reconciler.settle()
    assert plane.state(job) is JobState.CANCELLED
    assert key_events(plane, job) == [
        ("key-requested", MEMORY_BROKER),
        ("key-released", MEMORY_BROKER),
    ]
    plane.store.close()


def test_a_guest_that_cannot_be_asked_the_second_time_is_noted_at_the_next_look(
    tmp_path: Path,
) -> None:
    plane = ControlPlane(tmp_path, at_once=False)
    job, name = asking(plane, plane.reconciler())
    plane.clock.put_forward(60)
    backend = MemoryBackend(plane.place)
    answers = [backend.status, lambda _handle: GuestStatus(GuestState.UNKNOWN)]

    def look(_point: str) -> None:
        found = plane.store.jobs.get(job.id)
        assert found.key_requested is bool(found.keys), "whoever asked somebody asked somebody"

    class OnceSilent(MemoryBackend):
        def status(self, handle: Handle) -> GuestStatus:
            return answers.pop(0)(handle) if answers else super().status(handle)

    reconciler = Reconciler(
        store=plane.store,
        backends={"memory": OnceSilent(plane.place)},
        runtimes={RUNTIME: plane.folder},
        folder=plane.folder / "work",
        clock=plane.clock,
        owner="two",
        after_step=look,
    )
    reconciler.settle()
    assert answers == []
    assert plane.store.jobs.get(job.id).keys == (KeyRequest(broker_id=MEMORY_BROKER),)
    assert key_events(plane, job) == [("key-requested", MEMORY_BROKER)]
    assert allowed(plane, name)
    plane.store.close()
