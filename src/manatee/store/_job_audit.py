"""What of a job's life goes into the audit trail."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from manatee.jobs import TERMINAL_STATES, JobState
from manatee.records import (
    SERVICE,
    AuditAction,
    JobManifest,
    KeyAnswer,
    KeyRequest,
    read_record,
)
from manatee.store._audit import record
from manatee.store._schema import JobEventRow, JobRow


def record_job(
    session: Session,
    now: str,
    by: str,
    action: AuditAction,
    row: JobRow,
    digest: str,
    outcome: str = "",
) -> None:
    """Write an event about a job."""
    manifest = read_record(row.manifest.encode(), JobManifest, what="stored manifest")
    record(
        session,
        now,
        by,
        action,
        outcome=outcome,
        organisation=row.organisation,
        project=row.project,
        job=row.id,
        datasets=[use.name for use in manifest.datasets],
        person=row.researcher,
        digest=digest,
    )


_KEY_ACTIONS: dict[KeyAnswer, AuditAction] = {
    "released": "key-released",
    "denied": "key-denied",
    "failed": "key-failed",
}


def record_keys(
    session: Session,
    now: str,
    by: str,
    row: JobRow,
    before: Iterable[KeyRequest],
    after: Iterable[KeyRequest],
) -> None:
    """Write which brokers were asked for keys since, and what they answered."""
    known = {request.broker_id: request for request in before}
    for request in after:
        earlier = known.get(request.broker_id)
        if earlier is None:
            record_job(
                session, now, by, "key-requested", row, row.job_digest, outcome=request.broker_id
            )
        if request.answer is not None and (earlier is None or earlier.answer is None):
            record_job(
                session,
                now,
                by,
                _KEY_ACTIONS[request.answer],
                row,
                request.decision or row.job_digest,
                outcome=request.broker_id,
            )


def is_recorded(after: JobState, keys: Iterable[KeyRequest] | None) -> bool:
    """Return whether a step may go into the trail, so that its transaction must be alone."""
    return keys is not None or after is JobState.CANCELLING or after in TERMINAL_STATES


def record_change(session: Session, now: str, by: str, row: JobRow, after: JobState) -> None:
    """Write what a change of state decides: somebody's no, a cancellation, the end."""
    if after is JobState.CANCELLING:
        record_job(session, now, by, "job-cancelled", row, row.job_digest)
    if after is JobState.REJECTED and by != SERVICE:
        record_job(session, now, by, "job-rejected", row, row.job_digest)
    if after in TERMINAL_STATES:
        session.flush()
        events = session.scalars(
            select(JobEventRow.event).where(JobEventRow.job_id == row.id).order_by(JobEventRow.seq)
        )
        record_job(session, now, by, "job-ended", row, end_digest(row, events), after.value)


def end_digest(row: JobRow, events: Iterable[str]) -> str:
    """Return the digest of a job's whole history and of what it left, by digest."""
    left = [row.result_digest, row.outputs_digest, row.released_digest]
    return history_digest([*events, " ".join(digest or "-" for digest in left)])


def history_digest(events: Iterable[str]) -> str:
    """Return the digest of a job's whole history, a line an event."""
    state = hashlib.sha256()
    for event in events:
        state.update(event.encode() + b"\n")
    return "sha256:" + state.hexdigest()
