"""Between job rows and job records, and the one writer of a job's history."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from manatee.errors import NotFoundError
from manatee.jobs import JobState
from manatee.records import (
    Cause,
    Digest,
    ExitStatus,
    JobEvent,
    JobManifest,
    KeyRequests,
    canonical_json,
    read_record,
)
from manatee.records import Phase as PhaseText
from manatee.store._admission import halt_of
from manatee.store._records import Halt, Job
from manatee.store._schema import (
    DatasetRow,
    JobDatasetRow,
    JobEventRow,
    JobRow,
    OutboxRow,
    ProjectRow,
)

_PHASES: dict[str, PhaseText] = {
    "starting": "starting",
    "attesting": "attesting",
    "opening": "opening",
    "running": "running",
    "output_check": "output_check",
    "sealing": "sealing",
}


def providers_of(session: Session, job_ids: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the providers of each job's data sets, sorted."""
    found: dict[str, set[str]] = {}
    pairs = (
        select(JobDatasetRow.job_id, DatasetRow.provider)
        .join(DatasetRow, DatasetRow.version == JobDatasetRow.version)
        .where(JobDatasetRow.job_id.in_(list(job_ids)))
    )
    for job_id, provider in session.execute(pairs):
        found.setdefault(job_id, set()).add(provider)
    return {job_id: tuple(sorted(names)) for job_id, names in found.items()}


def to_jobs(session: Session, rows: Sequence[JobRow], now: float) -> list[Job]:
    """Turn rows into records, with one query for all their providers and one for their projects."""
    if not rows:
        return []
    providers = providers_of(session, [row.id for row in rows])
    projects = session.scalars(
        select(ProjectRow).where(ProjectRow.name.in_({row.project for row in rows}))
    )
    halts = {row.name: halt_of(row, now) for row in projects}
    return [to_job(row, providers.get(row.id, ()), halts[row.project]) for row in rows]


def to_job(row: JobRow, providers: tuple[str, ...], halt: Halt | None) -> Job:
    """Turn one row into a record."""
    return Job(
        number=row.number,
        id=row.id,
        job_digest=Digest(row.job_digest),
        manifest=read_record(row.manifest.encode(), JobManifest, what="stored manifest"),
        providers=providers,
        organisation=row.organisation,
        halt=halt,
        state=JobState(row.state),
        version=row.version,
        attempt=row.attempt,
        guest_name=row.guest_name,
        handle=row.handle,
        key_requested=row.key_requested,
        keys=()
        if row.keys is None
        else read_record(row.keys.encode(), KeyRequests, what="stored key requests").requests,
        phase=None if row.phase is None else _PHASES[row.phase],
        guest_seq=row.guest_seq,
        exit=None
        if row.exit is None
        else read_record(row.exit.encode(), ExitStatus, what="stored exit status"),
        cause=None if row.cause is None else Cause(row.cause),
        reason_code=row.reason_code,
        message=row.message,
        checks_passed=row.checks_passed,
        result_digest=None if row.result_digest is None else Digest(row.result_digest),
        outputs_digest=None if row.outputs_digest is None else Digest(row.outputs_digest),
        released_digest=None if row.released_digest is None else Digest(row.released_digest),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def row_of(session: Session, job_id: str) -> JobRow:
    """Return a job's row, locked where the database locks rows.

    Raises:
        NotFoundError: No such job.
    """
    row = session.scalars(select(JobRow).where(JobRow.id == job_id).with_for_update()).one_or_none()
    if row is None:
        raise NotFoundError("there is no such job.")
    return row


def row_and_project(session: Session, job_id: str) -> tuple[JobRow, ProjectRow]:
    """Return a job's row, locked where the database locks rows, and its project's.

    Raises:
        NotFoundError: No such job.
    """
    found = session.execute(
        select(JobRow, ProjectRow)
        .join(ProjectRow, ProjectRow.name == JobRow.project)
        .where(JobRow.id == job_id)
        .with_for_update(of=JobRow)
    ).one_or_none()
    if found is None:
        raise NotFoundError("there is no such job.")
    return found[0], found[1]


def append_event(session: Session, row: JobRow, event: JobEvent, *, state_changed: bool) -> None:
    """Append an event whose `seq` is the job's next, and its outbox row if the state changed."""
    row.events = event.seq
    session.add(
        JobEventRow(
            job_id=row.id,
            seq=event.seq,
            job_version=row.version if state_changed else None,
            event=canonical_json(event).decode(),
        )
    )
    if state_changed:
        session.add(OutboxRow(job_id=row.id, seq=event.seq))
