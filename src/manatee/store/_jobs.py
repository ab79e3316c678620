"""Jobs: submitted once, moved by one function, with a history that cannot skip a step."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from manatee._clock import Clock, timestamp
from manatee.errors import (
    ConflictError,
    DuplicateSubmissionError,
    LimitError,
    NotFoundError,
    StoreError,
    UnknownDatasetError,
)
from manatee.jobs import JobState, check_transition
from manatee.records import (
    GuestEvent,
    JobEvent,
    JobManifest,
    canonical_json,
    digest_record,
    read_record,
)
from manatee.store._changes import Changes
from manatee.store._database import Database
from manatee.store._job_rows import append_event, row_of, to_jobs
from manatee.store._records import Job, JobUpdate
from manatee.store._schema import DatasetRow, JobDatasetRow, JobEventRow, JobRow

QUEUED_STATES = (
    JobState.CREATED,
    JobState.CHECKING,
    JobState.AWAITING_APPROVAL,
    JobState.APPROVED,
)
"""States that count against `max_queued_jobs`."""

IN_FLIGHT_STATES = (
    JobState.BUILDING,
    JobState.BUILT,
    JobState.LAUNCHING,
    JobState.ATTESTING,
    JobState.RUNNING,
    JobState.OUTPUT_CHECK,
)
"""States that count against `max_jobs_in_flight`."""


def count_in(session: Session, states: Sequence[JobState]) -> int:
    """Return how many jobs are in one of the states."""
    wanted = [state.value for state in states]
    return session.scalar(select(func.count()).where(JobRow.state.in_(wanted))) or 0


class Jobs:
    """The job table and its history."""

    def __init__(self, database: Database, clock: Clock, changes: Changes) -> None:
        self._database = database
        self._clock = clock
        self._changes = changes

    def submit(self, manifest: JobManifest, *, max_queued_jobs: int) -> Job:
        """Take in a job; durable when this returns.

        Quota, uniqueness and data sets are checked in the same transaction.

        Raises:
            DuplicateSubmissionError: The same manifest was submitted before.
            LimitError: The queue is full.
            UnknownDatasetError: A data set version nobody published under that name.
        """
        digest = digest_record(manifest)
        now = timestamp(self._clock())
        try:
            with self._database.write() as session:
                earlier = session.scalars(
                    select(JobRow.id).where(JobRow.job_digest == digest)
                ).one_or_none()
                if earlier is not None:
                    raise _duplicate(earlier, manifest)
                if count_in(session, QUEUED_STATES) >= max_queued_jobs:
                    raise LimitError(
                        f"the queue is full: {max_queued_jobs} jobs wait.", hint="Try again later."
                    )
                for use in manifest.datasets:
                    known = session.scalars(
                        select(DatasetRow.number).where(
                            DatasetRow.version == use.version, DatasetRow.name == use.name
                        )
                    ).one_or_none()
                    if known is None:
                        raise UnknownDatasetError(
                            f"there is no data set {use.name!r} in the version asked for.",
                            hint="See the catalogue for names and versions.",
                        )
                row = _new_row(manifest, digest, now)
                session.add(row)
                session.flush()
                session.add_all(
                    JobDatasetRow(job_id=row.id, version=use.version) for use in manifest.datasets
                )
                event = JobEvent(seq=1, at=now, kind="state", state=row.state)
                append_event(session, row, event, state_changed=True)
                session.flush()
                job = to_jobs(session, [row])[0]
        except StoreError as error:
            # where writers do not queue, two equal submissions meet at the unique constraint
            if isinstance(error.__cause__, IntegrityError):
                with self._database.read() as session:
                    earlier = session.scalars(
                        select(JobRow.id).where(JobRow.job_digest == digest)
                    ).one_or_none()
                if earlier is not None:
                    raise _duplicate(earlier, manifest) from error
            raise
        self._changes.raised()
        return job

    def get(self, job_id: str) -> Job:
        """Return a job.

        Raises:
            NotFoundError: No such job.
        """
        with self._database.read() as session:
            rows = session.scalars(select(JobRow).where(JobRow.id == job_id)).all()
            if not rows:
                raise NotFoundError("there is no such job.")
            return to_jobs(session, rows)[0]

    def page(
        self,
        *,
        researcher: str | None = None,
        provider: str | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> list[Job]:
        """Return jobs, newest first.

        Args:
            researcher: Jobs of this researcher …
            provider: … or of data sets of this provider; with both None, all jobs.
            before: Only jobs whose `number` is below.
            limit: At most this many.
        """
        wanted = select(JobRow).order_by(JobRow.number.desc()).limit(limit)
        if researcher is not None or provider is not None:
            of_provider = (
                select(JobDatasetRow.job_id)
                .join(DatasetRow, DatasetRow.version == JobDatasetRow.version)
                .where(DatasetRow.provider == provider)
            )
            wanted = wanted.where((JobRow.researcher == researcher) | JobRow.id.in_(of_provider))
        if before is not None:
            wanted = wanted.where(JobRow.number < before)
        with self._database.read() as session:
            return to_jobs(session, session.scalars(wanted).all())

    def write(
        self,
        job: Job,
        after: JobState,
        update: JobUpdate | None = None,
        *,
        owner: str | None = None,
        release_lease: bool = False,
        in_flight_limit: int | None = None,
    ) -> Job:
        """Write a job: the only way one changes. Durable when this returns.

        A change of state writes the job row, an event row and an outbox row in one transaction.

        Args:
            job: As the caller read it; if it changed since, nothing is written.
            after: The next state, or the present one to write only `update`.
            update: What else changes.
            owner: The reconciler that must hold the lease; None for what people do.
            release_lease: Give the lease up with this write.
            in_flight_limit: Refuse if so many jobs are in flight already.

        Raises:
            TransitionError: The table has no such step.
            ConflictError: The job changed since it was read, or the lease is another's.
            LimitError: `in_flight_limit` is reached.
        """
        if after is not job.state:
            check_transition(job.state, after)
        changed = update or JobUpdate()
        moment = self._clock()
        now = timestamp(moment)
        with self._database.write() as session:
            if in_flight_limit is not None and count_in(session, IN_FLIGHT_STATES) >= (
                in_flight_limit
            ):
                raise LimitError(f"{in_flight_limit} jobs are in flight already.")
            row = row_of(session, job.id)
            if row.version != job.version or row.state != job.state.value:
                raise ConflictError("the job changed meanwhile.", hint="Look at it again.")
            if owner is not None and row.lease_owner != owner:
                raise ConflictError("the job is in another reconciler's hands.")
            row.version += 1
            row.updated_at = now
            row.state = after.value
            row.due_at = 0.0
            _apply(row, changed)
            if release_lease:
                row.lease_owner = None
                row.lease_until = 0.0
            if after is not job.state:
                event = JobEvent(
                    seq=row.events + 1,
                    at=now,
                    kind="state",
                    state=after.value,
                    cause=changed.cause,
                    reason_code=changed.reason_code or "",
                    message=changed.message or "",
                )
                append_event(session, row, event, state_changed=True)
            session.flush()
            written = to_jobs(session, [row])[0]
        self._changes.raised()
        return written

    def add_progress(self, job: Job, events: Sequence[GuestEvent], *, owner: str) -> Job:
        """Append the guest's progress events that are new; the state stays.

        Raises:
            ConflictError: The job changed since it was read, or the lease is another's.
        """
        fresh = [event for event in events if event.seq > job.guest_seq]
        if not fresh:
            return job
        now = timestamp(self._clock())
        with self._database.write() as session:
            row = row_of(session, job.id)
            if row.version != job.version or row.lease_owner != owner:
                raise ConflictError("the job changed meanwhile.", hint="Look at it again.")
            row.version += 1
            for progress in fresh:
                event = JobEvent(
                    seq=row.events + 1, at=now, kind="progress", state=row.state, progress=progress
                )
                append_event(session, row, event, state_changed=False)
            row.guest_seq = fresh[-1].seq
            row.phase = fresh[-1].phase
            session.flush()
            written = to_jobs(session, [row])[0]
        self._changes.raised()
        return written

    def events(self, job_id: str, *, after: int = 0, limit: int = 500) -> list[JobEvent]:
        """Return a job's events with `seq` > `after`, in order."""
        wanted = (
            select(JobEventRow.event)
            .where(JobEventRow.job_id == job_id, JobEventRow.seq > after)
            .order_by(JobEventRow.seq)
            .limit(limit)
        )
        with self._database.read() as session:
            return [
                read_record(text.encode(), JobEvent, what="stored event")
                for text in session.scalars(wanted)
            ]


def _duplicate(job_id: str, manifest: JobManifest) -> DuplicateSubmissionError:
    return DuplicateSubmissionError(
        f"this job was submitted before as {job_id}.",
        hint=f"To run it again, raise submission to {manifest.submission + 1}.",
    )


def _new_row(manifest: JobManifest, digest: str, now: str) -> JobRow:
    return JobRow(
        id="job-" + secrets.token_hex(8),
        job_digest=digest,
        researcher=manifest.researcher,
        manifest=canonical_json(manifest).decode(),
        state=JobState.CREATED.value,
        version=1,
        attempt=1,
        key_requested=False,
        guest_seq=-1,
        events=0,
        reason_code="",
        message="",
        due_at=0.0,
        lease_until=0.0,
        created_at=now,
        updated_at=now,
    )


def _apply(row: JobRow, update: JobUpdate) -> None:
    if update.new_attempt is not None:
        row.attempt = update.new_attempt
        row.guest_name = row.handle = row.phase = None
        row.guest_seq = -1
    for name in (
        "guest_name",
        "handle",
        "key_requested",
        "reason_code",
        "message",
        "checks_passed",
        "result_digest",
        "outputs_digest",
    ):
        value = getattr(update, name)
        if value is not None:
            setattr(row, name, value)
    if update.cause is not None:
        row.cause = update.cause.value
    if update.exit is not None:
        row.exit = canonical_json(update.exit).decode()
