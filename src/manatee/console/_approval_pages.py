"""The approval queue: what is to run, and what changed since such code was approved last."""

from __future__ import annotations

from contextlib import ExitStack

from fastapi import APIRouter, Request
from starlette.responses import Response

from manatee._clock import system_clock
from manatee.console._diff import compare_folders
from manatee.console._job_pages import matches, recent_jobs
from manatee.console._pages import CheckedForm, SessionOf, console_of, go, page
from manatee.console._workspaces import last_approved, workspace
from manatee.errors import AuthorizationError, MalformedError
from manatee.policy import sign_approval
from manatee.records import JobAnswer, JobManifest, Membership

router = APIRouter(prefix="/approvals")


@router.get("")
def queue(request: Request, session: SessionOf, q: str = "", done: str = "") -> Response:
    """List what waits for approval, the oldest first."""
    waiting = [
        job
        for job in recent_jobs(session.client)[::-1]
        if job.state == "awaiting_approval" and job.id != done and matches(job, q)
    ]
    return page(request, "approvals.html", session=session, jobs=waiting, q=q, done=done)


@router.get("/{job_id}")
def look(request: Request, session: SessionOf, job_id: str) -> Response:
    """Show code, parameters, data sets and policy of one job, and what is new in them."""
    job = session.client.job(job_id)
    before = last_approved(recent_jobs(session.client), job)
    with ExitStack() as stack:
        new = stack.enter_context(workspace(session.client, job))
        old = None if before is None else stack.enter_context(workspace(session.client, before))
        files = compare_folders(old, new)
    entries = [session.client.dataset(use.name) for use in job.manifest.datasets]
    return page(
        request,
        "approval.html",
        session=session,
        job=job,
        before=before,
        files=files,
        changes=member_changes(None if before is None else before.manifest, job.manifest),
        policies=[entry.publication.output_policy for entry in entries[:1]],
        mine=providers_of(session.caller.memberships, job),
    )


def providers_of(memberships: tuple[Membership, ...], job: JobAnswer) -> list[str]:
    """Return the job's providers for which a person may approve."""
    return sorted(
        {item.organisation for item in memberships if item.role == "data_provider"}
        & set(job.providers)
    )


def member_changes(
    before: JobManifest | None, after: JobManifest
) -> list[tuple[str, str, str, bool]]:
    """Return what a manifest says beside code: word, before, after, whether they differ."""

    def shown(manifest: JobManifest | None) -> dict[str, str]:
        if manifest is None:
            return {}
        return {
            "purpose": manifest.purpose,
            "parameters": ", ".join(f"{k} = {v}" for k, v in manifest.parameters.items()) or "none",
            "data sets": ", ".join(f"{use.name} {use.version[:19]}…" for use in manifest.datasets),
            "outputs declared": ", ".join(manifest.declared_outputs) or "the notebook alone",
            "runtime": manifest.runtime_digest[:19] + "…",
            "resource class": manifest.resource_class,
            "where it runs": manifest.backend_kind,
            "output policy": manifest.output_policy_digest[:19] + "…",
            "report on the twin": "asked for" if manifest.twin_report else "no",
        }

    old, new = shown(before), shown(after)
    return [
        (word, old.get(word, ""), new[word], bool(old) and old[word] != new[word]) for word in new
    ]


@router.post("/{job_id}/approve")
def approve(request: Request, session: SessionOf, job_id: str, form: CheckedForm) -> Response:
    """Sign an approval with the key on this machine and hand it in."""
    keys = console_of(request).keys
    if keys.approver is None:
        raise AuthorizationError(
            "this console has no approver key.",
            hint=f"On your own machine: manatee approve {job_id} --key FILE.",
        )
    job = session.client.job(job_id)
    provider = form.get("provider", "")
    if form.get("job_digest") != job.job_digest or provider not in job.providers:
        raise MalformedError("the form is not about this job.", hint="Load the page again.")
    approval = sign_approval(
        keys.approver,
        provider=provider,
        approver=keys.approver_name,
        job_digest=job.job_digest,
        at=system_clock(),
    )
    session.client.approve(job_id, approval)
    return go(f"/approvals?done={job_id}")


@router.post("/{job_id}/reject")
def reject(request: Request, session: SessionOf, job_id: str, form: CheckedForm) -> Response:
    """Refuse a job, with a reason."""
    reason = form.get("reason", "").strip()
    if not reason:
        raise MalformedError("a no needs a reason.", hint="The researcher will read it.")
    session.client.reject(job_id, reason)
    return go(f"/approvals?done={job_id}")
