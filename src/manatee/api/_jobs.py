"""Submitting jobs, looking at them, and what their researchers may do with them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from manatee.api._answers import JOB_ERRORS, SUBMIT_ERRORS, answer, body_of, documented, job_answer
from manatee.api._bodies import JsonBody
from manatee.api._callers import CallerOf, in_room, job_for, require, sight_of
from manatee.api._context import context_of
from manatee.api._downloads import blob_response
from manatee.bundle import read_statement, run_entry
from manatee.errors import (
    AuthorizationError,
    ConflictError,
    ManifestError,
    NotFoundError,
    RuntimeEnvironmentError,
    TransitionError,
    WorkspaceError,
)
from manatee.jobs import JobState
from manatee.records import (
    Cause,
    GuestResult,
    JobAnswer,
    JobManifest,
    JobPage,
    check_manifest,
    read_record,
    unbase64,
)
from manatee.rights import Action
from manatee.store import Account, Job, JobUpdate

router = APIRouter(prefix="/v1/jobs")

_CANCEL_TRIES = 20
"""How often a cancellation that met a concurrent step looks again."""


@router.post(
    "",
    status_code=201,
    responses=documented("The job as taken in.", JobAnswer, *SUBMIT_ERRORS, status=201),
    openapi_extra=body_of(JobManifest),
)
def submit(request: Request, account: CallerOf, body: JsonBody) -> Response:
    """Submit a job in one's own name. The workspace must have been uploaded by the caller."""
    manifest = read_record(body, JobManifest, what="manifest")
    context = context_of(request)
    room = context.store.projects.room(manifest.project)
    require(account, Action.SUBMIT_JOB, in_room(room), what="project")
    if manifest.researcher != account.name:
        raise AuthorizationError("the manifest names another researcher than the token's.")
    check_manifest(manifest)
    if manifest.stage != "secure":
        raise ManifestError("rehearsals run on your own machine.", hint="Use `manatee rehearse`.")
    if manifest.runtime_digest not in context.runtimes:
        raise RuntimeEnvironmentError(
            "the runtime asked for is not installed here.",
            hint="Use a runtime the service lists.",
        )
    if not context.store.blobs.uploaded_by(account.name, [manifest.workspace_digest]):
        raise WorkspaceError("you have not uploaded this workspace.", hint="Upload it first.")
    job = context.store.jobs.submit(manifest, max_queued_jobs=context.max_queued_jobs)
    return answer(job_answer(job), 201)


@router.get("", responses=documented("A page of jobs, newest first.", JobPage))
def list_jobs(
    request: Request,
    account: CallerOf,
    cursor: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """List the jobs the caller may know of."""
    found = context_of(request).store.jobs.page(
        within=sight_of(account), before=cursor, limit=limit + 1
    )
    shown = found[:limit]
    more = shown[-1].number if len(found) > limit else None
    return answer(JobPage(jobs=tuple(job_answer(job) for job in shown), next_cursor=more))


@router.get("/{job_id}", responses=documented("The job.", JobAnswer, *JOB_ERRORS))
def get_job(request: Request, job_id: str, account: CallerOf) -> Response:
    """Show one job."""
    return answer(job_answer(job_for(request, account, job_id, Action.SEE_JOB)))


@router.post(
    "/{job_id}/cancel",
    responses=documented("The job, being cancelled.", JobAnswer, ConflictError, *JOB_ERRORS),
)
def cancel(request: Request, job_id: str, account: CallerOf) -> Response:
    """Cancel a job: one's own, or any as operator. Cancelling again changes nothing."""
    store = context_of(request).store
    job = job_for(request, account, job_id, Action.CANCEL_JOB)
    for _ in range(_CANCEL_TRIES):
        if job.state in (JobState.CANCELLING, JobState.CANCELLED):
            return answer(job_answer(job))
        try:
            return answer(
                job_answer(
                    store.jobs.write(job, JobState.CANCELLING, _by(account, job), by=account.name)
                )
            )
        except TransitionError:
            raise
        except ConflictError:
            job = store.jobs.get(job_id)  # it moved on meanwhile
    raise ConflictError("the job changes too fast.", hint="Try again.")


def _by(account: Account, job: Job) -> JobUpdate:
    who = "its researcher" if account.name == job.manifest.researcher else "an operator"
    return JobUpdate(cause=Cause.CANCELLED, reason_code="cancelled", message=f"cancelled by {who}.")


@router.get(
    "/{job_id}/workspace",
    response_class=Response,
    responses=documented(
        "The workspace archive.", None, *JOB_ERRORS, media_type="application/octet-stream"
    ),
)
def get_workspace(request: Request, job_id: str, account: CallerOf) -> Response:
    """Download the code, to review it before approving."""
    job = job_for(request, account, job_id, Action.READ_CODE)
    return blob_response(request, job.manifest.workspace_digest)


@router.get(
    "/{job_id}/outputs",
    response_class=Response,
    responses=documented(
        "The sealed outputs, an age file.",
        None,
        ConflictError,
        *JOB_ERRORS,
        media_type="application/octet-stream",
    ),
)
def get_outputs(request: Request, job_id: str, account: CallerOf) -> Response:
    """Download the sealed outputs: of a released job of one's own, or those one is to review.

    Only those to whom the guest sealed them can open them.
    """
    job = job_for(request, account, job_id, Action.READ_OUTPUTS)
    mine = job.manifest.researcher == account.name
    ready = {JobState.RELEASED} if mine else {JobState.RELEASED, JobState.AWAITING_RELEASE}
    if job.state not in ready or job.outputs_digest is None:
        raise ConflictError(f"a job that is {job.state.value} has no released outputs.")
    return blob_response(request, (mine and job.released_digest) or job.outputs_digest)


@router.get(
    "/{job_id}/result",
    response_class=Response,
    responses=documented(
        "The GuestResult: exit status, signed run statement, evidence.",
        GuestResult,
        ConflictError,
        *JOB_ERRORS,
    ),
)
def get_result(request: Request, job_id: str, account: CallerOf) -> Response:
    """Download what the guest said last; together with the outputs it makes the run bundle."""
    digest, data = _result_of(request, account, job_id)
    return Response(data, media_type="application/json", headers={"x-digest": digest})


@router.get(
    "/{job_id}/log-proof",
    response_class=Response,
    responses=documented(
        "Proof (C2SP tlog-proof) that the run is in the service's transparency log.",
        None,
        ConflictError,
        *JOB_ERRORS,
        media_type="text/plain",
    ),
)
def get_log_proof(request: Request, job_id: str, account: CallerOf) -> Response:
    """Download the proof of a run's place in the log; logs the run if it is not there yet."""
    _digest, data = _result_of(request, account, job_id)
    log = context_of(request).run_log
    result = read_record(data, GuestResult, what="result", max_bytes=len(data))
    if log is None or result.envelope is None:
        raise NotFoundError("this service keeps no log of runs, or the run left no statement.")
    _statement, payload, _key = read_statement(unbase64(result.envelope))
    proof = log.prove(run_entry(payload, result.job_digest))
    return Response(proof, media_type="text/plain; charset=utf-8")


def _check_not_withheld(request: Request, account: Account, job: Job) -> None:
    """Check that the caller may see what a run says of outputs that people have to release.

    It names and counts them, though it proves no guess at them; before somebody decided, and after
    a no, that is for those who decide. A failed run leaves no outputs.

    Raises:
        ConflictError: The outputs were not released.
    """
    if job.outputs_digest is None or job.state is JobState.RELEASED:
        return
    datasets = context_of(request).store.datasets
    entries = [datasets.get(use.name, use.version) for use in job.manifest.datasets]
    if all(entry.publication.output_policy.release == "automatic" for entry in entries):
        return
    try:
        job_for(request, account, job.id, Action.READ_OUTPUTS)
        decides = account.name != job.manifest.researcher
    except (AuthorizationError, NotFoundError):
        decides = False
    if not decides:
        raise ConflictError(
            f"a job that is {job.state.value} shows its statement to output reviewers alone.",
            hint="It names outputs, and they were not released.",
        )


def _result_of(request: Request, account: CallerOf, job_id: str) -> tuple[str, bytes]:
    """Return digest and bytes of a job's result, for whoever may see it."""
    job = job_for(request, account, job_id, Action.READ_RESULT)
    if not job.terminal and job.state is not JobState.AWAITING_RELEASE:
        raise ConflictError(f"a job that is {job.state.value} has no result yet.")
    if job.result_digest is None:
        raise NotFoundError("the job ended without a result.")
    _check_not_withheld(request, account, job)
    data = context_of(request).store.blobs.read(job.result_digest)
    return job.result_digest, data
