"""Who is calling, and whether they may. Identity comes from the token and from nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from manatee.api._context import context_of
from manatee.api._hub_identity import account_of
from manatee.errors import AuthenticationError, AuthorizationError, NotFoundError
from manatee.records import Role, Scope
from manatee.rights import SCOPE_OF, Action, Standing, Verdict, decide, in_scope
from manatee.store import Account, Job, Room, Sight

_bearer = HTTPBearer(auto_error=False, description="An API token of this service.")

SeesAs = Callable[[str], Collection[Standing]]
"""How a member of an organisation stands to a thing."""


def caller(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Account:
    """Return the account of the bearer token.

    Raises:
        AuthenticationError: No token, or an unknown or expired one.
        IdentityProviderError: It is a hub's, and the hub could not be asked.
    """
    if credentials is None:
        raise AuthenticationError(
            "this needs an API token.", hint="Send it as 'Authorization: Bearer …'."
        )
    context = context_of(request)
    return account_of(context.store, context.hub, credentials.credentials)


CallerOf = Annotated[Account, Depends(caller)]


def verdict_on(account: Account, action: Action, standing: SeesAs) -> Verdict:
    """Ask the rights matrix, and whether the token is for this."""
    return _decided(
        account, [(roles, standing(name)) for name, roles in account.organisations.items()], action
    )


def _decided(
    account: Account,
    held: Collection[tuple[Collection[Role], Collection[Standing]]],
    action: Action,
) -> Verdict:
    # the one place where a token's scopes count: they only ever take away
    verdict = decide(held, action)
    if verdict is Verdict.ALLOWED and not in_scope(account.scopes, action):
        return Verdict.REFUSED
    return verdict


def in_scope_for(account: Account, *scopes: Scope) -> None:
    """Check that the token is for one of these.

    Raises:
        AuthorizationError: It is for none of them.
    """
    if account.scopes.isdisjoint(scopes):
        raise AuthorizationError(
            f"this token is not for that: it lacks the scope {' or '.join(scopes)}.",
            hint="`manatee token list` shows what your tokens are for.",
        )


def require(
    account: Account, action: Action, standing: SeesAs = lambda _name: (), *, what: str = "thing"
) -> None:
    """Check that the caller may do this.

    Args:
        account: The caller.
        action: What is asked for.
        standing: How a member of an organisation stands to the thing asked for.
        what: Word for the thing.

    Raises:
        NotFoundError: The caller may not even know of it.
        AuthorizationError: The caller may know of it and not do this.
    """
    match verdict_on(account, action, standing):
        case Verdict.ALLOWED:
            return
        case Verdict.HIDDEN:
            raise NotFoundError(f"there is no such {what}.")
        case Verdict.REFUSED:
            if not in_scope(account.scopes, action):
                in_scope_for(account, SCOPE_OF[action])
            raise AuthorizationError(
                f"you may not {action.value}.", hint="`manatee whoami` shows what you are where."
            )


def acting_for(
    account: Account, action: Action, standing: SeesAs, among: Collection[str]
) -> tuple[str, ...]:
    """Return the organisations, of some, for which the caller may do this; sorted."""
    return tuple(
        sorted(
            name
            for name, roles in account.organisations.items()
            if name in among
            and _decided(account, [(roles, standing(name))], action) is Verdict.ALLOWED
        )
    )


def own(organisation: str) -> SeesAs:
    """Return the standing to what one organisation has."""
    return lambda name: {Standing.HOME} if name == organisation else ()


def in_room(room: Room) -> SeesAs:
    """Return the standing to a project."""

    def standing(name: str) -> Collection[Standing]:
        if name in room.homes:
            return {Standing.HOME}
        return {Standing.PARTY} if name in room.parties else ()

    return standing


def to_job(account: Account, job: Job, room: Room) -> SeesAs:
    """Return the standing to a job: one's own only while one is still in its project."""

    def standing(name: str) -> Collection[Standing]:
        found: set[Standing] = set()
        if job.manifest.researcher == account.name and name == job.organisation:
            found.add(Standing.SELF)
        if name in job.providers:
            found.add(Standing.HOME)
        elif name in room.parties:
            found.add(Standing.PARTY)
        return found

    return standing


def job_for(request: Request, account: Account, job_id: str, action: Action) -> Job:
    """Return a job with which the caller may do this.

    Raises:
        NotFoundError: No such job, or one the caller may not know of; the two are not told apart.
        AuthorizationError: The caller may know of it and not do this.
    """
    store = context_of(request).store
    job = store.jobs.get(job_id)
    room = store.projects.room(job.manifest.project)
    require(account, action, to_job(account, job, room), what="job")
    return job


def jobs_for_organisations(
    request: Request, account: Account, job: Job, action: Action
) -> tuple[str, ...]:
    """Return the providers of a job for which the caller may do this."""
    room = context_of(request).store.projects.room(job.manifest.project)
    return acting_for(account, action, to_job(account, job, room), job.providers)


def sight_of(account: Account) -> Sight | None:
    """Return which jobs a caller may know of; None: all. Says what the matrix says of `SEE_JOB`."""
    if verdict_on(account, Action.SEE_JOB, lambda _name: ()) is Verdict.ALLOWED:
        return None

    def where(standing: Standing) -> frozenset[str]:
        names = account.organisations.keys()
        return frozenset(acting_for(account, Action.SEE_JOB, lambda _name: {standing}, names))

    own_jobs = where(Standing.SELF)
    return Sight(
        researcher=account.name if own_jobs else "",
        own=own_jobs,
        providers=where(Standing.HOME),
        parties=where(Standing.PARTY),
    )


def need(account: Account, *roles: Role) -> None:
    """Check that the caller has one of the roles anywhere.

    Raises:
        AuthorizationError: None of them.
    """
    if account.roles.isdisjoint(roles):
        raise AuthorizationError(f"this needs the role {' or '.join(roles)}.")
