"""Organisations, their members and their quotas."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from manatee.api._answers import answer, body_of, documented
from manatee.api._bodies import JsonBody
from manatee.api._callers import CallerOf, own, require
from manatee.api._context import context_of
from manatee.errors import AuthorizationError, NotFoundError
from manatee.records import NewMember, OrganisationAnswer, Quota, read_record
from manatee.rights import Action

router = APIRouter(prefix="/v1/organisations")

_ERRORS = (AuthorizationError, NotFoundError)


@router.put(
    "/{name}",
    responses=documented("The organisation.", OrganisationAnswer, *_ERRORS),
)
def add_organisation(request: Request, name: str, account: CallerOf) -> Response:
    """Add an organisation. Idempotent."""
    require(account, Action.ADD_ORGANISATION)
    organisations = context_of(request).store.organisations
    organisations.add(name, by=account.name)
    return answer(organisations.get(name))


@router.get("/{name}", responses=documented("The organisation.", OrganisationAnswer, *_ERRORS))
def get_organisation(request: Request, name: str, account: CallerOf) -> Response:
    """Show an organisation, its members and what it uses of its quota."""
    require(account, Action.SEE_ORGANISATION, own(name), what="organisation")
    return answer(context_of(request).store.organisations.get(name))


@router.put(
    "/{name}/members/{member}",
    responses=documented("The organisation.", OrganisationAnswer, *_ERRORS),
    openapi_extra=body_of(NewMember),
)
def set_member(
    request: Request, name: str, member: str, account: CallerOf, body: JsonBody
) -> Response:
    """Make somebody a member in a role, or change when that ends. Idempotent."""
    require(account, Action.MANAGE_MEMBERS)
    wanted = read_record(body, NewMember, what="membership")
    organisations = context_of(request).store.organisations
    organisations.set_member(
        name, member, wanted.role, expires_at=wanted.expires_at, by=account.name
    )
    return answer(organisations.get(name))


@router.delete(
    "/{name}/members/{member}/{role}",
    responses=documented("The organisation.", OrganisationAnswer, *_ERRORS),
)
def end_member(request: Request, name: str, member: str, role: str, account: CallerOf) -> Response:
    """End a membership at once: the next request of that person is refused."""
    require(account, Action.MANAGE_MEMBERS)
    organisations = context_of(request).store.organisations
    organisations.end_member(name, member, role, by=account.name)
    return answer(organisations.get(name))


@router.put(
    "/{name}/quota",
    responses=documented("The organisation.", OrganisationAnswer, *_ERRORS),
    openapi_extra=body_of(Quota),
)
def set_quota(request: Request, name: str, account: CallerOf, body: JsonBody) -> Response:
    """Set an organisation's limits; what is in use stays, even above them."""
    require(account, Action.SET_QUOTA)
    quota = read_record(body, Quota, what="quota")
    organisations = context_of(request).store.organisations
    organisations.set_quota(name, quota, by=account.name)
    return answer(organisations.get(name))
