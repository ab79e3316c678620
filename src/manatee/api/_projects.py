"""Clean rooms: proposed, agreed to, looked at, stopped."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from manatee.api._answers import answer, body_of, documented
from manatee.api._bodies import JsonBody
from manatee.api._callers import CallerOf, acting_for, in_room, require, verdict_on
from manatee.api._context import context_of
from manatee.errors import AuthorizationError, ConflictError, ManifestError, NotFoundError
from manatee.records import (
    Project,
    ProjectAgreement,
    ProjectAnswer,
    ProjectPage,
    ProjectStop,
    Quota,
    read_record,
)
from manatee.rights import Action, Verdict
from manatee.store import Room

router = APIRouter(prefix="/v1/projects")

_ERRORS = (AuthorizationError, NotFoundError, ConflictError)


@router.post(
    "",
    status_code=201,
    responses=documented("The project.", ProjectAnswer, ManifestError, *_ERRORS, status=201),
    openapi_extra=body_of(Project),
)
def propose(request: Request, account: CallerOf, body: JsonBody) -> Response:
    """Propose a project in the name of one of its parties, which thereby agrees to it."""
    project = read_record(body, Project, what="project")
    names = frozenset(party.organisation for party in project.parties)
    standing = in_room(Room(parties=names, homes=frozenset()))
    able = acting_for(account, Action.PROPOSE_PROJECT, standing, names)
    if not able:
        raise AuthorizationError(
            "you may not propose this project.",
            hint="A data provider or researcher of one of its parties proposes it.",
        )
    return answer(
        context_of(request).store.projects.propose(project, by=able[0], actor=account.name), 201
    )


@router.get("", responses=documented("A page of projects, by name.", ProjectPage))
def list_projects(
    request: Request,
    account: CallerOf,
    after: Annotated[str | None, Query(max_length=63)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """List the projects of the caller's organisations; an operator's list is of all."""
    everything = verdict_on(account, Action.SEE_PROJECT, lambda _name: ()) is Verdict.ALLOWED
    found = context_of(request).store.projects.page(
        None if everything else account.organisations.keys(), after=after, limit=limit + 1
    )
    shown = found[:limit]
    more = shown[-1].project.name if len(found) > limit else None
    return answer(ProjectPage(projects=tuple(shown), next_after=more))


@router.get("/{name}", responses=documented("The project.", ProjectAnswer, *_ERRORS))
def get_project(request: Request, name: str, account: CallerOf) -> Response:
    """Show a project to its parties."""
    _require(request, account, name, Action.SEE_PROJECT)
    return answer(context_of(request).store.projects.get(name))


@router.post(
    "/{name}/agreements",
    responses=documented("The project.", ProjectAnswer, *_ERRORS),
    openapi_extra=body_of(ProjectAgreement),
)
def agree(request: Request, name: str, account: CallerOf, body: JsonBody) -> Response:
    """Agree to a project, by its digest, in the name of a party. Idempotent.

    A party that provides data agrees through one of its data providers; any other through a
    researcher or data provider.
    """
    room = _require(request, account, name, Action.AGREE_PROJECT)
    agreement = read_record(body, ProjectAgreement, what="agreement")
    able = acting_for(account, Action.AGREE_PROJECT, in_room(room), room.parties)
    if agreement.organisation not in able:
        raise AuthorizationError("you may not agree in the name of this organisation.")
    projects = context_of(request).store.projects
    return answer(
        projects.agree(
            name,
            organisation=agreement.organisation,
            digest=agreement.project_digest,
            actor=account.name,
        )
    )


@router.post(
    "/{name}/stop",
    responses=documented("The project, stopped.", ProjectAnswer, *_ERRORS),
    openapi_extra=body_of(ProjectStop),
)
def stop(request: Request, name: str, account: CallerOf, body: JsonBody) -> Response:
    """Stop a project for good, as any of its parties: its jobs are cancelled."""
    room = _require(request, account, name, Action.STOP_PROJECT)
    wanted = read_record(body, ProjectStop, what="stop")
    parties = acting_for(account, Action.STOP_PROJECT, in_room(room), room.parties)
    by = parties[0] if parties else sorted(account.organisations)[0]  # an operator's own
    return answer(
        context_of(request).store.projects.stop(
            name, by=by, reason=wanted.reason, actor=account.name
        )
    )


@router.put(
    "/{name}/quota",
    responses=documented("The project.", ProjectAnswer, *_ERRORS),
    openapi_extra=body_of(Quota),
)
def set_quota(request: Request, name: str, account: CallerOf, body: JsonBody) -> Response:
    """Set a project's limits; what is in use stays, even above them."""
    require(account, Action.SET_QUOTA)
    quota = read_record(body, Quota, what="quota")
    projects = context_of(request).store.projects
    projects.set_quota(name, quota, by=account.name)
    return answer(projects.get(name))


def _require(request: Request, account: CallerOf, name: str, action: Action) -> Room:
    room = context_of(request).store.projects.room(name)
    require(account, action, in_room(room), what="project")
    return room
