"""Submitting jobs, looking at them, and what their researchers may do with them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from manatee.api._answers import JOB_ERRORS, SUBMIT_ERRORS, answer, body_of, documented, job_answer
from manatee.api._bodies import JsonBody
from manatee.api._callers import (
    CallerOf,
    is_provider_of,
    is_researcher_of,
    need,
    visible_job,
)
from manatee.api._catalogue import blob_response
from manatee.api._context import context_of
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
    GuestResult,
    JobAnswer,
    JobManifest,
    JobPage,
    check_manifest,
    read_record,
    unbase64,
)

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
    need(account, "researcher")
    manifest = read_record(body, JobManifest, what="manifest")
    if manifest.researcher != account.name:
        raise AuthorizationError("the manifest names another researcher than the token's.")
    check_manifest(manifest)
    if manifest.stage != "secure":
        raise ManifestError("rehearsals run on your own machine.", hint="Use `manatee rehearse`.")
    context = context_of(request)
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
    everything = not account.roles.isdisjoint({"operator", "auditor"})
    found = context_of(request).store.jobs.page(
        researcher=None if everything else account.name,
        provider=None if everything else account.name,
        before=cursor,
        limit=limit + 1,
    )
    shown = found[:limit]
    more = shown[-1].number if len(found) > limit else None
    return answer(JobPage(jobs=tuple(job_answer(job) for job in shown), next_cursor=more))


@router.get("/{job_id}", responses=documented("The job.", JobAnswer, *JOB_ERRORS))
def get_job(request: Request, job_id: str, account: CallerOf) -> Response:
    """Show one job."""
    return answer(job_answer(visible_job(request, account, job_id)))


@router.post(
    "/{job_id}/cancel",
    responses=documented("The job, being cancelled.", JobAnswer, ConflictError, *JOB_ERRORS),
)
def cancel(request: Request, job_id: str, account: CallerOf) -> Response:
    """Cancel a job: one's own, or any as operator. Cancelling again changes nothing."""
    store = context_of(request).store
    job = visible_job(request, account, job_id)
    if not is_researcher_of(account, job) and "operator" not in account.roles:
        raise AuthorizationError("only its researcher or an operator cancels a job.")
    for _ in range(_CANCEL_TRIES):
        if job.state in (JobState.CANCELLING, JobState.CANCELLED):
            return answer(job_answer(job))
        try:
            return answer(job_answer(store.jobs.write(job, JobState.CANCELLING)))
        except TransitionError:
            raise
        except ConflictError:
            job = store.jobs.get(job_id)  # it moved on meanwhile
    raise ConflictError("the job changes too fast.", hint="Try again.")


@router.get(
    "/{job_id}/workspace",
    response_class=Response,
    responses=documented(
        "The workspace archive.", None, *JOB_ERRORS, media_type="application/octet-stream"
    ),
)
def get_workspace(request: Request, job_id: str, account: CallerOf) -> Response:
    """Download the code, to review it before approving."""
    job = visible_job(request, account, job_id)
    if not is_researcher_of(account, job) and not is_provider_of(account, job):
        raise AuthorizationError("only its researcher and its data providers see a job's code.")
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
    """Download the sealed outputs of a released job of one's own."""
    job = visible_job(request, account, job_id)
    if not is_researcher_of(account, job):
        raise AuthorizationError("only its researcher downloads a job's outputs.")
    if job.state is not JobState.RELEASED or job.outputs_digest is None:
        raise ConflictError(f"a job that is {job.state.value} has no released outputs.")
    return blob_response(request, job.outputs_digest)


@router.get(
    "/{job_id}/result",
    response_class=Response,
    responses=documented(
        "The GuestResult: exit status, signed run statement, evidence.",
        None,
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


def _result_of(request: Request, account: CallerOf, job_id: str) -> tuple[str, bytes]:
    """Return digest and bytes of a job's result, for whoever may see it."""
    job = visible_job(request, account, job_id)
    allowed = is_researcher_of(account, job) or is_provider_of(account, job)
    if not allowed and "auditor" not in account.roles:
        raise AuthorizationError("only researcher, data providers and auditors see a result.")
    if not job.terminal:
        raise ConflictError(f"a job that is {job.state.value} has no result yet.")
    if job.result_digest is None:
        raise NotFoundError("the job ended without a result.")
    data = context_of(request).store.blobs.read(job.result_digest)
    return job.result_digest, data
