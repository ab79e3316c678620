"""What providers decide: approvals before a run, release after it."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from manatee.api._answers import JOB_ERRORS, answer, body_of, documented, job_answer
from manatee.api._bodies import JsonBody
from manatee.api._callers import CallerOf, job_for, jobs_for_organisations
from manatee.api._context import context_of
from manatee.errors import AuthorizationError, ConflictError, ManifestError, TooLargeError
from manatee.jobs import JobState
from manatee.policy import verify_approval
from manatee.records import Cause, JobAnswer, Rejection, Review, SignedApproval, read_record
from manatee.rights import Action
from manatee.store import Account, Job, JobUpdate, Store

router = APIRouter(prefix="/v1/jobs")

_ERRORS = (ConflictError, TooLargeError, *JOB_ERRORS)


@router.post(
    "/{job_id}/approvals",
    responses=documented("The job; the approval is kept.", JobAnswer, *_ERRORS),
    openapi_extra=body_of(SignedApproval),
)
def approve(request: Request, job_id: str, account: CallerOf, body: JsonBody) -> Response:
    """Hand in a signed approval. The key broker verifies it again and is the one that counts."""
    job = job_for(request, account, job_id, Action.APPROVE_JOB)
    approval = read_record(body, SignedApproval, what="approval")
    provider = approval.statement.provider
    if provider not in jobs_for_organisations(request, account, job, Action.APPROVE_JOB):
        raise AuthorizationError("you do not approve jobs for the provider that this names.")
    context = context_of(request)
    verify_approval(
        approval,
        job_digest=job.job_digest,
        provider=provider,
        trusted_keys=context.store.accounts.approval_keys(provider),
        at=context.clock(),
    )
    context.store.decisions.approve(job, approval, by=account.name)
    return answer(job_answer(context.store.jobs.get(job_id)))


@router.post(
    "/{job_id}/rejection",
    responses=documented("The job, rejected.", JobAnswer, *_ERRORS),
    openapi_extra=body_of(Rejection),
)
def reject(request: Request, job_id: str, account: CallerOf, body: JsonBody) -> Response:
    """Refuse a job that asks for approval."""
    job = job_for(request, account, job_id, Action.APPROVE_JOB)
    rejection = read_record(body, Rejection, what="rejection")
    if job.state is not JobState.AWAITING_APPROVAL:
        raise ConflictError(f"a job that is {job.state.value} does not wait for approval.")
    update = JobUpdate(cause=Cause.REVIEW, reason_code="rejected", message=rejection.reason)
    written = context_of(request).store.jobs.write(
        job, JobState.REJECTED, update, release_lease=True, by=account.name
    )
    return answer(job_answer(written))


def _check_sealed_again(store: Store, account: Account, job: Job, review: Review) -> None:
    """Check that a yes brings the outputs that the researcher will be given, and a no none."""
    sealed = review.outputs_digest
    if sealed is None:
        if review.decision == "approve" and job.outputs_digest is not None:
            raise ManifestError(
                "a yes needs the outputs as you have sealed them for the researcher.",
                hint="`manatee review approve` does that.",
            )
        return
    if review.decision == "reject" or job.outputs_digest is None:
        raise ManifestError("there are no outputs to release with this decision.")
    if not store.blobs.uploaded_by(account.name, [sealed]):
        raise ManifestError("you have not uploaded the sealed outputs.", hint="Upload them first.")


@router.post(
    "/{job_id}/release",
    responses=documented("The job; the decision is kept.", JobAnswer, *_ERRORS),
    openapi_extra=body_of(Review),
)
def release(request: Request, job_id: str, account: CallerOf, body: JsonBody) -> Response:
    """Decide, as output reviewer of a provider, whether the outputs leave.

    Counts for every provider of the job whose reviewer the caller is.
    """
    job = job_for(request, account, job_id, Action.REVIEW_OUTPUTS)
    review = read_record(body, Review, what="review")
    store = context_of(request).store
    _check_sealed_again(store, account, job, review)
    for provider in jobs_for_organisations(request, account, job, Action.REVIEW_OUTPUTS):
        store.decisions.review(job, review, provider=provider, reviewer=account.name)
    return answer(job_answer(store.jobs.get(job_id)))
