"""The audit trail: who did what and when, and whether the log holds it."""

from __future__ import annotations

from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response

from manatee.console._pages import SessionOf, console_of, page
from manatee.errors import ManateeError
from manatee.ledger import LogTrust, verify_log_proof
from manatee.records import canonical_json

router = APIRouter(prefix="/audit")

SHOWN_EVENTS = 200


@router.get("")
def list_events(
    request: Request,
    session: SessionOf,
    dataset: str = "",
    project: str = "",
    person: str = "",
    job: str = "",
    before: int | None = None,
) -> Response:
    """List events, newest first."""
    asked = {"dataset": dataset, "project": project, "person": person, "job": job}
    given = {name: value.strip() or None for name, value in asked.items()}
    found = session.client.audit_page(given, newest_first=True, before=before, limit=SHOWN_EVENTS)
    query = {name: value for name, value in given.items() if value}
    older = ""
    if found.next_after is not None:
        older = f"/audit?{urlencode(query | {'before': found.next_after})}"
    newest = f"/audit?{urlencode(query)}" if before is not None else ""
    return page(
        request,
        "audit.html",
        session=session,
        events=found.events,
        asked=asked,
        older=older,
        newest=newest,
    )


@router.get("/{number}")
def show_event(request: Request, session: SessionOf, number: int) -> Response:
    """Show one event, and prove that it is in the log that this machine trusts."""
    found = session.client.audit_page(after=max(number - 1, 0), before=number + 1, limit=1)
    events = found.events
    trust: LogTrust | None = console_of(request).keys.audit_trust
    problem, place = "", None
    if trust is None:
        problem = "This console was given no log to trust: --audit-trust."
    elif events:
        try:
            proof = session.client.audit_proof(number)
            place = verify_log_proof(proof, canonical_json(events[0]), trust)
            if place.index != number - 1:
                problem, place = "The event stands in another place of the log.", None
        except ManateeError as error:
            problem = f"{error.message} {error.hint}".strip()
    return page(
        request,
        "audit_event.html",
        session=session,
        event=events[0] if events else None,
        number=number,
        place=place,
        problem=problem,
    )
