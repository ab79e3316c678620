"""The audit trail: who decided what and when, and the proof that it is in the log."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from manatee.api._answers import answer, documented
from manatee.api._callers import CallerOf, acting_for, verdict_on
from manatee.api._context import context_of
from manatee.errors import AuthorizationError, LedgerError, NotFoundError
from manatee.records import AuditPage
from manatee.rights import Action, Standing, Verdict
from manatee.store import Account, AuditQuery

router = APIRouter(prefix="/v1/audit")

Word = Annotated[str | None, Query(max_length=63)]
_ERRORS = (AuthorizationError, NotFoundError)


@router.get("", responses=documented("A page of events, in order.", AuditPage, AuthorizationError))
def list_events(
    request: Request,
    account: CallerOf,
    dataset: Word = None,
    project: Word = None,
    person: Word = None,
    job: Word = None,
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    newest_first: bool = False,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Response:
    """List events: all, to an operator; to an auditor those of her organisations and projects.

    `person` finds what somebody did and what was done about them.
    """
    context = context_of(request)
    query = AuditQuery(
        dataset=dataset, project=project, person=person, job=job, organisations=_of(account)
    )
    found = context.store.audit.page(
        query, after=after, before=before, limit=limit + 1, newest_first=newest_first
    )
    shown = found[:limit]
    return answer(
        AuditPage(
            events=tuple(shown),
            next_after=shown[-1].number if len(found) > limit else None,
            logged=0 if context.audit_log is None else context.audit_log.size(),
        )
    )


@router.get(
    "/growth",
    response_class=Response,
    responses=documented(
        "The log's checkpoint, and the proof that it grew from an older one (C2SP tlog-witness).",
        None,
        LedgerError,
        *_ERRORS,
        media_type="text/plain",
    ),
)
def get_growth(
    request: Request, account: CallerOf, since: Annotated[int, Query(ge=0, le=2**53)] = 0
) -> Response:
    """Prove that the audit log still is what it was when it held so many events, and more."""
    _of(account)
    log = context_of(request).audit_log
    if log is None:
        raise NotFoundError("this service keeps no audit log.")
    return Response(log.growth(since), media_type="text/plain; charset=utf-8")


@router.get(
    "/{number}/proof",
    response_class=Response,
    responses=documented(
        "Proof (C2SP tlog-proof) that the event's canonical JSON is in the audit log.",
        None,
        LedgerError,
        *_ERRORS,
        media_type="text/plain",
    ),
)
def get_proof(
    request: Request, number: Annotated[int, Path(ge=1, le=2**53)], account: CallerOf
) -> Response:
    """Prove that an event is in the log; an event of a moment ago may not be there yet."""
    context = context_of(request)
    context.store.audit.get(number, AuditQuery(organisations=_of(account)))
    if context.audit_log is None:
        raise NotFoundError("this service keeps no audit log.")
    proof = context.audit_log.prove(number - 1)
    return Response(proof, media_type="text/plain; charset=utf-8")


def _of(account: Account) -> frozenset[str] | None:
    """Return the organisations whose events the caller may read; None: all.

    Raises:
        AuthorizationError: None at all.
    """
    if verdict_on(account, Action.READ_AUDIT, lambda _name: ()) is Verdict.ALLOWED:
        return None
    names = account.organisations.keys()
    mine = acting_for(account, Action.READ_AUDIT, lambda _name: {Standing.HOME}, names)
    if not mine:
        raise AuthorizationError(
            "you may not read the audit trail.", hint="That is for auditors and operators."
        )
    return frozenset(mine)
