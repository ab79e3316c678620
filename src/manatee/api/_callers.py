"""Who is calling. Identity comes from the token and from nowhere else."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from manatee.api._context import context_of
from manatee.errors import AuthenticationError, AuthorizationError, NotFoundError
from manatee.records import Role
from manatee.store import Account, Job

_bearer = HTTPBearer(auto_error=False, description="An API token of this service.")


def caller(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Account:
    """Return the account of the bearer token.

    Raises:
        AuthenticationError: No token, or an unknown or expired one.
    """
    if credentials is None:
        raise AuthenticationError(
            "this needs an API token.", hint="Send it as 'Authorization: Bearer …'."
        )
    return context_of(request).store.accounts.authenticate(credentials.credentials)


CallerOf = Annotated[Account, Depends(caller)]


def need(account: Account, *roles: Role) -> None:
    """Check that the caller has one of the roles.

    Raises:
        AuthorizationError: None of them.
    """
    if account.roles.isdisjoint(roles):
        raise AuthorizationError(f"this needs the role {' or '.join(roles)}.")


def is_provider_of(account: Account, job: Job) -> bool:
    """Whether the caller provides one of the job's data sets."""
    return "data_provider" in account.roles and account.name in job.providers


def is_researcher_of(account: Account, job: Job) -> bool:
    """Whether the job is the caller's own."""
    return "researcher" in account.roles and account.name == job.manifest.researcher


def visible_job(request: Request, account: Account, job_id: str) -> Job:
    """Return a job the caller may know of: its researcher, its providers, operators, auditors.

    Raises:
        NotFoundError: No such job, or another's; the two are not told apart.
    """
    job = context_of(request).store.jobs.get(job_id)
    known = is_researcher_of(account, job) or is_provider_of(account, job)
    if not known and account.roles.isdisjoint({"operator", "auditor"}):
        raise NotFoundError("there is no such job.")
    return job
