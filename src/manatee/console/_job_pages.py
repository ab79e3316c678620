"""Jobs: the list, one job, and what proves it."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from manatee._clock import system_clock
from manatee.bundle import Verification, read_bundle, verify_bundle
from manatee.client import ManateeClient
from manatee.console._keys import OwnKeys
from manatee.console._notebooks import cells_of
from manatee.console._pages import CheckedForm, SessionOf, console_of, go, page
from manatee.console._workspaces import workspace
from manatee.errors import ManateeError
from manatee.jobs import TERMINAL_STATES
from manatee.records import JobAnswer, JobEvent
from manatee.releasing import fetch_bundle

router = APIRouter()

SHOWN_JOBS = 500
"""Newest jobs that a list looks at; older ones are found by their address or by `manatee`."""

_ENDED = {state.value for state in TERMINAL_STATES}


def recent_jobs(client: ManateeClient) -> list[JobAnswer]:
    """Return the newest jobs that the caller may know of."""
    return list(itertools.islice(client.jobs(page_size=200), SHOWN_JOBS))


def matches(job: JobAnswer, words: str) -> bool:
    """Return whether a job has all the words in its names, purpose or state."""
    manifest = job.manifest
    text = " ".join(
        (
            job.id,
            job.state,
            manifest.researcher,
            manifest.project,
            manifest.purpose,
            manifest.entry_notebook,
            *(use.name for use in manifest.datasets),
        )
    ).lower()
    return all(word in text for word in words.lower().split())


@router.get("/")
def home(session: SessionOf) -> Response:
    """Send people where their work is."""
    roles = set(session.caller.roles)
    if "data_provider" in roles:
        return go("/approvals")
    return go("/reviews" if "output_reviewer" in roles else "/jobs")


@router.get("/jobs")
def list_jobs(request: Request, session: SessionOf, q: str = "") -> Response:
    """List jobs, newest first."""
    jobs = [job for job in recent_jobs(session.client) if matches(job, q)]
    return page(request, "jobs.html", session=session, jobs=jobs, q=q)


@router.get("/jobs/{job_id}")
def show_job(request: Request, session: SessionOf, job_id: str) -> Response:
    """Show one job: what was asked for, how far it is, what it left."""
    job = session.client.job(job_id)
    ended = job.state in _ENDED
    events: list[JobEvent] = list(session.client.events(job_id)) if ended else []
    return page(request, "job.html", session=session, job=job, events=events, ended=ended)


@router.get("/jobs/{job_id}/code")
def show_code(request: Request, session: SessionOf, job_id: str) -> Response:
    """Show the notebook as it was submitted."""
    job = session.client.job(job_id)
    with workspace(session.client, job) as folder:
        cells = cells_of((folder / job.manifest.entry_notebook).read_bytes())
        files = sorted(
            path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
        )
    return page(request, "code.html", session=session, job=job, cells=cells, files=files)


@router.get("/jobs/{job_id}/proof")
def show_proof(request: Request, session: SessionOf, job_id: str) -> Response:
    """Verify a run here, with this machine's trust, and show every check."""
    keys = console_of(request).keys
    job = session.client.job(job_id)
    verification: Verification | None = None
    problem = ""
    if not keys.identity:
        problem = "This console has no identity to open the outputs with."
    else:
        try:
            verification = verify_job(session.client, job_id, keys)
        except ManateeError as error:
            problem = f"{error.message} {error.hint}".strip()
    return page(
        request,
        "proof.html",
        session=session,
        job=job,
        verification=verification,
        problem=problem,
    )


def verify_job(client: ManateeClient, job_id: str, keys: OwnKeys) -> Verification:
    """Fetch a run bundle, verify it, and forget it."""
    with tempfile.TemporaryDirectory(prefix="manatee-console-") as scratch:
        folder = Path(scratch) / "bundle"
        fetch_bundle(client, job_id, identity=keys.identity, folder=folder)
        return verify_bundle(read_bundle(folder), trust=keys.trust, at=system_clock())


@router.post("/jobs/{job_id}/cancel")
def cancel(session: SessionOf, job_id: str, _form: CheckedForm) -> Response:
    """Cancel a job."""
    session.client.cancel(job_id)
    return go(f"/jobs/{job_id}")
