"""What data providers decide: approvals before a run, release after it."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from manatee.api._answers import JOB_ERRORS, answer, body_of, documented, job_answer
from manatee.api._bodies import JsonBody
from manatee.api._callers import CallerOf, is_provider_of, need, visible_job
from manatee.api._context import context_of
from manatee.errors import AuthorizationError, ConflictError, TooLargeError
from manatee.jobs import JobState
from manatee.policy import verify_approval
from manatee.records import Cause, JobAnswer, Rejection, Review, SignedApproval, read_record
from manatee.store import Account, Job, JobUpdate

router = APIRouter(prefix="/v1/jobs")

_ERRORS = (ConflictError, TooLargeError, *JOB_ERRORS)


def _provided_job(request: Request, account: Account, job_id: str) -> Job:
    need(account, "data_provider")
    job = visible_job(request, account, job_id)
    if not is_provider_of(account, job):
        raise AuthorizationError("only a provider of the job's data sets decides on it.")
    return job


@router.post(
    "/{job_id}/approvals",
    responses=documented("The job; the approval is kept.", JobAnswer, *_ERRORS),
    openapi_extra=body_of(SignedApproval),
)
def approve(request: Request, job_id: str, account: CallerOf, body: JsonBody) -> Response:
    """Hand in a signed approval. The key broker verifies it again and is the one that counts."""
    job = _provided_job(request, account, job_id)
    approval = read_record(body, SignedApproval, what="approval")
    context = context_of(request)
    verify_approval(
        approval,
        job_digest=job.job_digest,
        provider=account.name,
        trusted_keys=context.store.accounts.approval_keys(account.name),
        at=context.clock(),
    )
    context.store.decisions.approve(job, approval)
    return answer(job_answer(context.store.jobs.get(job_id)))


@router.post(
    "/{job_id}/rejection",
    responses=documented("The job, rejected.", JobAnswer, *_ERRORS),
    openapi_extra=body_of(Rejection),
)
def reject(request: Request, job_id: str, account: CallerOf, body: JsonBody) -> Response:
    """Refuse a job that asks for approval."""
    job = _provided_job(request, account, job_id)
    rejection = read_record(body, Rejection, what="rejection")
    if job.state is not JobState.AWAITING_APPROVAL:
        raise ConflictError(f"a job that is {job.state.value} does not wait for approval.")
    update = JobUpdate(cause=Cause.REVIEW, reason_code="rejected", message=rejection.reason)
    written = context_of(request).store.jobs.write(
        job, JobState.REJECTED, update, release_lease=True
    )
    return answer(job_answer(written))


@router.post(
    "/{job_id}/release",
    responses=documented("The job; the decision is kept.", JobAnswer, *_ERRORS),
    openapi_extra=body_of(Review),
)
def release(request: Request, job_id: str, account: CallerOf, body: JsonBody) -> Response:
    """Decide, as output reviewer of a provider, whether the outputs leave."""
    job = _provided_job(request, account, job_id)
    review = read_record(body, Review, what="review")
    store = context_of(request).store
    store.decisions.review(job, review, provider=account.name)
    return answer(job_answer(store.jobs.get(job_id)))
