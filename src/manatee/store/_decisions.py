"""What people decide about a job: approvals before it runs, reviews of its outputs after."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from manatee._clock import Clock, timestamp
from manatee.errors import ConflictError
from manatee.jobs import JobState
from manatee.records import (
    LOCAL_OPERATOR,
    AuditAction,
    Digest,
    Review,
    SignedApproval,
    canonical_json,
    digest_bytes,
    digest_record,
    read_record,
)
from manatee.store._audit import record
from manatee.store._changes import Changes
from manatee.store._database import Database
from manatee.store._job_rows import row_of
from manatee.store._records import Job, ReviewDecision
from manatee.store._schema import ApprovalRow, JobRow, ReviewRow

_APPROVABLE = frozenset({JobState.CREATED, JobState.CHECKING, JobState.AWAITING_APPROVAL})


def _wake(row: JobRow) -> None:
    row.version += 1
    row.due_at = 0.0


class Decisions:
    """Approvals and reviews."""

    def __init__(self, database: Database, clock: Clock, changes: Changes) -> None:
        self._database = database
        self._clock = clock
        self._changes = changes

    def approve(self, job: Job, approval: SignedApproval, *, by: str = LOCAL_OPERATOR) -> None:
        """Keep a signed approval, which the caller has verified. The same again changes nothing.

        Raises:
            ConflictError: The job no longer waits for approval.
        """
        text = canonical_json(approval)
        key = (job.id, approval.statement.provider, digest_bytes(text))
        with self._database.write() as session:
            row = row_of(session, job.id)
            if session.get(ApprovalRow, key) is not None:
                return
            if JobState(row.state) not in _APPROVABLE:
                raise ConflictError(f"a job that is {row.state} takes no approvals.")
            session.add(
                ApprovalRow(job_id=key[0], provider=key[1], digest=key[2], approval=text.decode())
            )
            _record(session, timestamp(self._clock()), by, "job-approved", job, key[1], "", key[2])
            _wake(row)
        self._changes.raised()

    def approvals(self, job_id: str) -> tuple[SignedApproval, ...]:
        """Return all approvals of a job, in a fixed order."""
        wanted = (
            select(ApprovalRow.approval)
            .where(ApprovalRow.job_id == job_id)
            .order_by(ApprovalRow.provider, ApprovalRow.digest)
        )
        with self._database.read() as session:
            return tuple(
                read_record(text.encode(), SignedApproval, what="stored approval")
                for text in session.scalars(wanted)
            )

    def review(self, job: Job, review: Review, *, provider: str, reviewer: str) -> None:
        """Keep a provider's decision on the outputs. The same again changes nothing.

        Raises:
            ConflictError: The job does not wait for release, or the provider decided otherwise.
        """
        now = timestamp(self._clock())
        with self._database.write() as session:
            row = row_of(session, job.id)
            earlier = session.get(ReviewRow, (job.id, provider))
            if earlier is not None:
                if earlier.decision != review.decision:
                    raise ConflictError("the provider has decided otherwise on this job.")
                return
            if row.state != JobState.AWAITING_RELEASE.value:
                raise ConflictError(f"a job that is {row.state} does not wait for release.")
            session.add(
                ReviewRow(
                    job_id=job.id,
                    provider=provider,
                    decision=review.decision,
                    reason=review.reason,
                    outputs_digest=review.outputs_digest,
                    reviewer=reviewer,
                    at=now,
                )
            )
            _record(
                session,
                now,
                reviewer,
                "outputs-reviewed",
                job,
                provider,
                review.decision,
                digest_record(review),
            )
            _wake(row)
        self._changes.raised()

    def reviews(self, job_id: str) -> tuple[ReviewDecision, ...]:
        """Return what the providers decided so far."""
        with self._database.read() as session:
            return tuple(_decisions(session, job_id))


def _record(
    session: Session,
    now: str,
    actor: str,
    action: AuditAction,
    job: Job,
    organisation: str,
    outcome: str,
    digest: str,
) -> None:
    record(
        session,
        now,
        actor,
        action,
        outcome=outcome,
        organisation=organisation,
        project=job.manifest.project,
        job=job.id,
        datasets=[use.name for use in job.manifest.datasets],
        person=job.manifest.researcher,
        digest=digest,
    )


def _decisions(session: Session, job_id: str) -> list[ReviewDecision]:
    rows = session.scalars(
        select(ReviewRow).where(ReviewRow.job_id == job_id).order_by(ReviewRow.provider)
    )
    return [
        ReviewDecision(
            row.provider,
            row.decision == "approve",
            row.reason,
            None if row.outputs_digest is None else Digest(row.outputs_digest),
        )
        for row in rows
    ]
