"""Projects: who takes part, with which data; agreeing and stopping."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from manatee.console._pages import CheckedForm, SessionOf, go, page
from manatee.errors import MalformedError
from manatee.records import ProjectAgreement

router = APIRouter(prefix="/projects")


@router.get("")
def list_projects(request: Request, session: SessionOf) -> Response:
    """List the person's projects."""
    return page(request, "projects.html", session=session, projects=list(session.client.projects()))


@router.get("/{name}")
def show_project(request: Request, session: SessionOf, name: str) -> Response:
    """Show one project, word for word."""
    answer = session.client.project(name)
    parties = {party.organisation for party in answer.project.parties}
    mine = sorted(
        {item.organisation for item in session.caller.memberships if item.organisation in parties}
    )
    return page(
        request,
        "project.html",
        session=session,
        answer=answer,
        to_agree=[item for item in mine if item not in answer.agreed],
    )


@router.post("/{name}/agree")
def agree(session: SessionOf, name: str, form: CheckedForm) -> Response:
    """Agree in the name of an organisation to the digest that the page showed."""
    agreement = ProjectAgreement(
        organisation=form.get("organisation", ""), project_digest=form.get("digest", "")
    )
    session.client.agree(name, agreement)
    return go(f"/projects/{name}")


@router.post("/{name}/stop")
def stop(session: SessionOf, name: str, form: CheckedForm) -> Response:
    """Stop a project for good."""
    reason = form.get("reason", "").strip()
    if not reason or form.get("name") != name:
        raise MalformedError(
            "to stop a project, give a reason and its name.", hint="Nothing was changed."
        )
    session.client.stop_project(name, reason)
    return go(f"/projects/{name}")
