"""Every cell of the rights matrix, asked for over HTTP: role by action by standing."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, get_args

import httpx
import pytest
from msgspec.structs import replace

from manatee.api import create_app, serve_in_thread
from manatee.records import ProjectParty, Role, canonical_json, digest_record
from manatee.rights import Action, Standing, Verdict, decide
from manatee.testing import ControlPlane
from manatee.testing._control_plane import RUNTIME

ROLES: tuple[Role, ...] = get_args(Role)
PLACES = ("self", "hospital", "university", "stranger")
"""`self` is somebody of the university with a job of their own; the hospital provides the data;
the university is the other party; a stranger is in neither."""

_REFUSALS = {403: Verdict.REFUSED, 404: Verdict.HIDDEN}


class World:
    """A service with one project, and a person for every role in every place."""

    def __init__(self, plane: ControlPlane, url: str) -> None:
        self.plane, self.url = plane, url
        self.http = httpx.Client(base_url=url, trust_env=False, timeout=20)
        self.numbers = itertools.count(1)
        store = plane.store
        for organisation in ("university", "stranger"):
            store.organisations.add(organisation)
        self.room = self.open_room("room")
        self.tokens: dict[str, str] = {}
        self.jobs: dict[str, str] = {}
        until = plane.clock().replace(year=plane.clock().year + 1)
        for role, place in itertools.product(ROLES, PLACES):
            organisation = "university" if place == "self" else place
            name = self.person(role, place)
            first: Role = "researcher" if place == "self" else role
            store.accounts.add(name, [first], organisation=organisation)
            if place == "self":
                self.jobs[name] = self.submit(name)
                store.organisations.set_member(organisation, name, role)
                if role != "researcher":
                    store.organisations.end_member(organisation, name, "researcher")
            self.tokens[name] = store.accounts.issue_token(name, expires_at=until)
        store.accounts.add("somebody", ["researcher"], organisation="university")
        self.job = self.submit("somebody")

    @staticmethod
    def person(role: Role, place: str) -> str:
        return f"{role.replace('_', '-')}.{place}"

    def open_room(self, name: str) -> Any:
        return self.plane.open_project(
            name=name,
            datasets=("insurance",),
            parties=(
                ProjectParty(organisation="hospital", approvals_needed=1),
                ProjectParty(organisation="university"),
            ),
        )

    def submit(self, name: str, project: str = "room") -> str:
        return self.plane.submit(researcher=name, project=project, submission=next(self.numbers)).id

    def ask(self, role: Role, place: str, method: str, path: str, body: object = None) -> int:
        token = self.tokens[self.person(role, place)]
        content = None if body is None else canonical_json(body)
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        answer = self.http.request(method, path, content=content, headers=headers)
        assert answer.status_code < 500, answer.text
        assert answer.status_code != 401
        return answer.status_code


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    plane = ControlPlane(tmp_path_factory.mktemp("rights"))
    app = create_app(plane.store, plane.settings, plane.clock, runtimes=[RUNTIME])
    with serve_in_thread(app) as url:
        made = World(plane, url)
        yield made
        made.http.close()
    plane.store.close()


Ask = Callable[[World, Role, str], int]
REQUESTS: dict[Action, Ask] = {}


def request_for(action: Action) -> Callable[[Ask], Ask]:
    def keep(ask: Ask) -> Ask:
        REQUESTS[action] = ask
        return ask

    return keep


def _simple(action: Action, method: str, path: str, body: object = None) -> None:
    REQUESTS[action] = lambda world, role, place: world.ask(role, place, method, path, body)


_simple(Action.SEE_ORGANISATION, "GET", "/v1/organisations/hospital")
_simple(Action.ADD_ORGANISATION, "PUT", "/v1/organisations/another")
_simple(
    Action.MANAGE_MEMBERS,
    "PUT",
    "/v1/organisations/university/members/somebody",
    {"role": "auditor"},
)
_simple(Action.SET_QUOTA, "PUT", "/v1/projects/room/quota", {})
_simple(Action.SEE_PROJECT, "GET", "/v1/projects/room")
_simple(Action.SEE_DATASET, "GET", "/v1/datasets/insurance/twin/t.parquet")
_simple(Action.READ_AUDIT, "GET", "/v1/audit")
_simple(Action.READ_METRICS, "GET", "/metrics")


@request_for(Action.PROPOSE_PROJECT)
def _propose(world: World, role: Role, place: str) -> int:
    return world.ask(role, place, "POST", "/v1/projects", world.room)


@request_for(Action.AGREE_PROJECT)
def _agree(world: World, role: Role, place: str) -> int:
    organisation = "university" if place in ("self", "stranger") else place
    body = {"organisation": organisation, "project_digest": digest_record(world.room)}
    return world.ask(role, place, "POST", "/v1/projects/room/agreements", body)


@request_for(Action.STOP_PROJECT)
def _stop(world: World, role: Role, place: str) -> int:
    name = f"room-{next(world.numbers)}"
    world.open_room(name)
    return world.ask(role, place, "POST", f"/v1/projects/{name}/stop", {"reason": "enough"})


@request_for(Action.PUBLISH_DATASET)
def _publish(world: World, role: Role, place: str) -> int:
    return world.ask(role, place, "POST", "/v1/datasets", world.plane.publication())


@request_for(Action.SUBMIT_JOB)
def _submit(world: World, role: Role, place: str) -> int:
    manifest = world.plane.manifest(
        researcher=world.person(role, place), project="room", submission=next(world.numbers)
    )
    return world.ask(role, place, "POST", "/v1/jobs", manifest)


def _on_job(action: Action, method: str, path: str, body: object = None) -> None:
    def ask(world: World, role: Role, place: str) -> int:
        job = world.jobs[world.person(role, place)] if place == "self" else world.job
        return world.ask(role, place, method, f"/v1/jobs/{job}{path}", body)

    REQUESTS[action] = ask


_on_job(Action.SEE_JOB, "GET", "")
_on_job(Action.READ_CODE, "GET", "/workspace")
_on_job(Action.READ_RESULT, "GET", "/result")
_on_job(Action.READ_OUTPUTS, "GET", "/outputs")
_on_job(Action.APPROVE_JOB, "POST", "/rejection", {"reason": "no"})
_on_job(Action.REVIEW_OUTPUTS, "POST", "/release", {"decision": "approve", "reason": "small"})


@request_for(Action.CANCEL_JOB)
def _cancel(world: World, role: Role, place: str) -> int:
    job = world.jobs[world.person(role, place)] if place == "self" else world.job
    return world.ask(role, place, "POST", f"/v1/jobs/{job}/cancel")


_HOME, _PARTY, _SELF = {Standing.HOME}, {Standing.PARTY}, {Standing.SELF, Standing.PARTY}
_TO_A_ROOM = {"self": _PARTY, "hospital": _HOME, "university": _PARTY, "stranger": set()}
_TO_A_JOB = _TO_A_ROOM | {"self": _SELF}
_TO_THE_HOSPITAL = {"self": set(), "hospital": _HOME, "university": set(), "stranger": set()}
_TO_A_NEW_ROOM = {"self": _PARTY, "hospital": _PARTY, "university": _PARTY, "stranger": set()}
STANDINGS: dict[Action, dict[str, set[Standing]]] = {
    Action.SEE_ORGANISATION: _TO_THE_HOSPITAL,
    Action.ADD_ORGANISATION: {place: set() for place in PLACES},
    Action.MANAGE_MEMBERS: {place: set() for place in PLACES},
    Action.SET_QUOTA: {place: set() for place in PLACES},
    Action.READ_METRICS: {place: set() for place in PLACES},
    Action.READ_AUDIT: {place: _HOME for place in PLACES},
    Action.PROPOSE_PROJECT: _TO_A_NEW_ROOM,
    Action.PUBLISH_DATASET: _TO_THE_HOSPITAL,
    **{
        action: _TO_A_ROOM
        for action in (
            Action.SEE_PROJECT,
            Action.AGREE_PROJECT,
            Action.STOP_PROJECT,
            Action.SEE_DATASET,
            Action.SUBMIT_JOB,
        )
    },
}


def test_every_action_of_the_matrix_is_asked_for() -> None:
    assert set(REQUESTS) == set(Action)


@pytest.mark.parametrize("action", list(REQUESTS), ids=lambda action: action.name.lower())
def test_the_service_does_what_the_matrix_says(world: World, action: Action) -> None:
    wrong = []
    for role, place in itertools.product(ROLES, PLACES):
        standing = STANDINGS.get(action, _TO_A_JOB)[place]
        wanted = decide([({role}, standing)], action)
        status = REQUESTS[action](world, role, place)
        found = _REFUSALS.get(status, Verdict.ALLOWED)
        if found is not wanted:
            wrong.append(f"{role} of {place}: {status}, should be {wanted.value}")
    assert wrong == []


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("place", PLACES)
def test_a_list_of_jobs_holds_what_can_be_seen_one_by_one(
    world: World, role: Role, place: str
) -> None:
    """The database's condition and the matrix say the same."""
    token = world.tokens[world.person(role, place)]
    headers = {"authorization": f"Bearer {token}"}
    page = world.http.get("/v1/jobs?limit=200", headers=headers).json()
    listed = {job["id"] for job in page["jobs"]}
    every = {job.id for job in world.plane.store.jobs.page(limit=200)}
    seen = {job for job in every if world.http.get(f"/v1/jobs/{job}", headers=headers).is_success}
    assert listed == seen


def test_a_person_of_two_organisations_acts_for_the_one_that_may(world: World) -> None:
    store = world.plane.store
    store.accounts.add("two-hats", ["auditor"], organisation="stranger")
    token = store.accounts.issue_token(
        "two-hats", expires_at=world.plane.clock() + timedelta(days=1)
    )
    headers = {"authorization": f"Bearer {token}"}

    def status() -> int:
        return world.http.get(f"/v1/jobs/{world.job}/workspace", headers=headers).status_code

    assert status() == 404
    store.organisations.set_member("hospital", "two-hats", "auditor")
    assert status() == 403
    store.organisations.set_member("hospital", "two-hats", "data_provider")
    assert status() == 200
    store.organisations.end_member("hospital", "two-hats", "data_provider")
    assert status() == 403


def test_what_a_stranger_publishes_under_a_name_that_a_project_hopes_for_is_not_in_it(
    world: World,
) -> None:
    world.plane.open_project(
        name="hopeful",
        datasets=("wanted",),
        parties=(
            ProjectParty(organisation="hospital", approvals_needed=1),
            ProjectParty(organisation="university"),
        ),
    )
    projects = world.plane.store.projects
    assert projects.datasets_open_to({"university"}) >= {"insurance"}
    theirs = world.plane.publication(name="wanted")
    world.plane.store.datasets.publish(
        replace(
            theirs,
            dataset=replace(theirs.dataset, provider="stranger"),
            twin=replace(theirs.twin, provider="stranger"),
        )
    )
    assert "wanted" not in projects.datasets_open_to({"university"})
    assert world.ask("researcher", "university", "GET", "/v1/datasets/wanted") == 404
    assert world.ask("researcher", "stranger", "GET", "/v1/datasets/wanted") == 200
