"""The output review queue: outputs, code, checks and earlier releases side by side."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from manatee.console._job_pages import matches, recent_jobs
from manatee.console._notebooks import cells_of, data_uri
from manatee.console._pages import CheckedForm, SessionOf, console_of, go, page
from manatee.console._workspaces import workspace
from manatee.errors import AuthorizationError, MalformedError, ManateeError
from manatee.records import JobAnswer, OutputFile
from manatee.releasing import approve as release
from manatee.releasing import open_for_review, statement_of
from manatee.releasing import reject as keep_back

router = APIRouter(prefix="/reviews")

MAX_SHOWN_BYTES = 200_000
"""Of one text file; the rest is left out, and that is said."""


@router.get("")
def queue(request: Request, session: SessionOf, q: str = "", done: str = "") -> Response:
    """List what waits for release, the oldest first."""
    waiting = [
        job
        for job in recent_jobs(session.client)[::-1]
        if job.state == "awaiting_release" and job.id != done and matches(job, q)
    ]
    return page(request, "reviews.html", session=session, jobs=waiting, q=q, done=done)


@router.get("/{job_id}")
def look(request: Request, session: SessionOf, job_id: str) -> Response:
    """Open the outputs here and show them beside the code that made them."""
    return _look(request, session, job_id, problem="", reason="")


def _look(
    request: Request, session: SessionOf, job_id: str, *, problem: str, reason: str
) -> Response:
    client, identity = session.client, console_of(request).keys.identity
    job = client.job(job_id)
    run = statement_of(client.result(job_id), job)
    files: tuple[OutputFile, ...] = ()
    closed = ""
    if not identity:
        closed = "This console has no identity to open the outputs with."
    else:
        try:
            files = open_for_review(client, job_id, identity=identity).outputs.files
        except ManateeError as error:
            closed = f"{error.message} {error.hint}".strip()
    with workspace(client, job) as folder:
        code = cells_of((folder / job.manifest.entry_notebook).read_bytes())
    notebook = next((file.data for file in files if file.path == "notebook.ipynb"), None)
    return page(
        request,
        "review.html",
        status=422 if problem else 200,
        session=session,
        job=job,
        checks=run.result.disclosure.checks,
        code=code,
        cells=() if notebook is None else cells_of(notebook),
        files=[show_file(file) for file in files if file.path != "notebook.ipynb"],
        closed=closed,
        earlier=earlier_releases(recent_jobs(client), job),
        problem=problem,
        reason=reason,
    )


def show_file(file: OutputFile) -> dict[str, str]:
    """Return a file as text or picture; what is neither is named only."""
    if picture := data_uri(file.data):
        return {"path": file.path, "picture": picture, "text": ""}
    try:
        text = file.data[:MAX_SHOWN_BYTES].decode()
    except UnicodeDecodeError:
        text = f"neither text nor a picture, {len(file.data)} bytes"
    if len(file.data) > MAX_SHOWN_BYTES:
        text += "\n… the rest is not shown."
    return {"path": file.path, "picture": "", "text": text}


def earlier_releases(jobs: list[JobAnswer], job: JobAnswer) -> list[JobAnswer]:
    """Return what was released before on the same data sets, newest first.

    Two releases that are each harmless may tell a person apart together.
    """
    names = {use.name for use in job.manifest.datasets}
    return [
        other
        for other in jobs
        if other.id != job.id
        and other.state == "released"
        and names & {use.name for use in other.manifest.datasets}
    ][:20]


@router.post("/{job_id}/approve")
def approve(request: Request, session: SessionOf, job_id: str, form: CheckedForm) -> Response:
    """Seal the outputs for the researcher, here, and release them."""
    identity = console_of(request).keys.identity
    if not identity:
        raise AuthorizationError(
            "this console has no identity to open the outputs with.",
            hint=f"On your own machine: manatee review approve {job_id} --identity FILE.",
        )
    reason = form.get("reason", "").strip() or "no objection"
    item = open_for_review(session.client, job_id, identity=identity)
    if form.get("job_digest") != item.job.job_digest:
        raise MalformedError("the form is not about this job.", hint="Load the page again.")
    release(session.client, item, reason=reason)
    return go(f"/reviews?done={job_id}")


@router.post("/{job_id}/reject")
def reject(request: Request, session: SessionOf, job_id: str, form: CheckedForm) -> Response:
    """Keep the outputs back, with a reason."""
    reason = form.get("reason", "").strip()
    if not reason:
        return _look(
            request,
            session,
            job_id,
            problem="A no needs a reason: the researcher will read it.",
            reason="",
        )
    keep_back(session.client, job_id, reason=reason)
    return go(f"/reviews?done={job_id}")
