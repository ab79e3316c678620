"""Jobs: submitted once, moved by one function, with a history that cannot skip a step."""

from __future__ import annotations

import math
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
)
from manatee.jobs import TERMINAL_STATES, JobState, check_transition
from manatee.records import (
    SERVICE,
    GuestEvent,
    JobEvent,
    JobManifest,
    KeyRequests,
    canonical_json,
    digest_record,
    read_record,
    resource_class,
)
from manatee.store._admission import admit, check_not_halted, halt_of
from manatee.store._allowances import give_back, take
from manatee.store._changes import Changes
from manatee.store._database import Database
from manatee.store._job_audit import is_recorded, record_change, record_job, record_keys
from manatee.store._job_rows import append_event, row_and_project, to_job, to_jobs
from manatee.store._records import Job, JobUpdate
from manatee.store._schema import BlobRow, JobDatasetRow, JobEventRow, JobRow
from manatee.store._sight import Sight, in_sight

_MAX_ATTEMPTS = 3
"""No job is charged for more guest time than this many full attempts."""

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

        Project, memberships, quotas, uniqueness and data sets are checked in the same
        transaction.

        Raises:
            DuplicateSubmissionError: The same manifest was submitted before.
            LimitError: The queue is full, or a quota of organisation or project.
            NotFoundError: No such project, or the researcher is in none of its parties.
            AuthorizationError: The researcher is not one in any of its parties.
            ProjectClosedError: It takes no jobs now.
            ManifestError: The project does not allow the data set, code or output policy.
            UnknownDatasetError: A data set version nobody published under that name.
        """
        digest = digest_record(manifest)
        moment = self._clock()
        now = timestamp(moment)
        guest_seconds = resource_class(manifest.resource_class).wall_seconds
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
                organisation = admit(session, manifest, moment.timestamp())
                blob = session.get(BlobRow, manifest.workspace_digest)
                size = 0 if blob is None else blob.size
                take(session, "organisation", organisation, jobs=1, guest_seconds=guest_seconds)
                take(
                    session,
                    "project",
                    manifest.project,
                    jobs=1,
                    guest_seconds=guest_seconds,
                    stored_bytes=size,
                )
                row = _new_row(manifest, digest, now, organisation, guest_seconds)
                session.add(row)
                session.flush()
                session.add_all(
                    JobDatasetRow(job_id=row.id, version=use.version) for use in manifest.datasets
                )
                event = JobEvent(seq=1, at=now, kind="state", state=row.state)
                append_event(session, row, event, state_changed=True)
                record_job(session, now, manifest.researcher, "job-submitted", row, digest)
                session.flush()
                job = to_jobs(session, [row], moment.timestamp())[0]
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
            return to_jobs(session, rows, self._clock().timestamp())[0]

    def page(
        self,
        *,
        within: Sight | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> list[Job]:
        """Return jobs, newest first.

        Args:
            within: Only those that somebody may know of; None for all.
            before: Only jobs whose `number` is below.
            limit: At most this many.
        """
        wanted = select(JobRow).order_by(JobRow.number.desc()).limit(limit)
        if within is not None:
            wanted = wanted.where(in_sight(within))
        if before is not None:
            wanted = wanted.where(JobRow.number < before)
        with self._database.read() as session:
            return to_jobs(session, session.scalars(wanted).all(), self._clock().timestamp())

    def write(
        self,
        job: Job,
        after: JobState,
        update: JobUpdate | None = None,
        *,
        owner: str | None = None,
        release_lease: bool = False,
        in_flight_limit: int | None = None,
        by: str = SERVICE,
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
            by: Who decided it, for the audit trail.

        Raises:
            TransitionError: The table has no such step.
            ConflictError: The job changed since it was read, or the lease is another's.
            ProjectClosedError: The step goes forward, and the project has been stopped or ended.
            LimitError: `in_flight_limit` is reached.
        """
        if after is not job.state:
            check_transition(job.state, after)
        changed = update or JobUpdate()
        moment = self._clock()
        now = timestamp(moment)
        # alone with what counts over jobs: slots, quotas, the trail's numbers; else only its rows
        alone = in_flight_limit is not None or is_recorded(after, changed.keys)
        begin = self._database.write if alone else self._database.write_locked_rows
        with begin() as session:
            if in_flight_limit is not None and count_in(session, IN_FLIGHT_STATES) >= (
                in_flight_limit
            ):
                raise LimitError(f"{in_flight_limit} jobs are in flight already.")
            row, project = row_and_project(session, job.id)
            if row.version != job.version or row.state != job.state.value:
                raise ConflictError("the job changed meanwhile.", hint="Look at it again.")
            if owner is not None and row.lease_owner != owner:
                raise ConflictError("the job is in another reconciler's hands.")
            if after in IN_FLIGHT_STATES or after is JobState.RELEASED:
                check_not_halted(project, after, moment.timestamp())
            row.version += 1
            row.updated_at = now
            row.state = after.value
            row.due_at = 0.0
            if after is JobState.LAUNCHING and row.started_at is None:
                row.started_at = moment.timestamp()
            if after in TERMINAL_STATES and job.state is not after:
                _settle(session, row, moment.timestamp())
            _apply(row, changed)
            if release_lease:
                row.lease_owner = None
                row.lease_until = 0.0
            if changed.keys is not None:
                record_keys(session, now, by, row, job.keys, changed.keys)
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
                record_change(session, now, by, row, after)
            session.flush()
            written = to_job(row, job.providers, halt_of(project, moment.timestamp()))
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
        moment = self._clock()
        now = timestamp(moment)
        with self._database.write_locked_rows() as session:
            row, project = row_and_project(session, job.id)
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
            written = to_job(row, job.providers, halt_of(project, moment.timestamp()))
        self._changes.raised()
        return written

    def counts(self) -> dict[str, int]:
        """Return how many jobs are in each state that any is in."""
        with self._database.read() as session:
            found = session.execute(select(JobRow.state, func.count()).group_by(JobRow.state))
            return {state: count for state, count in found}

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


def _settle(session: Session, row: JobRow, now: float) -> None:
    """Give back to the quotas what a job that ends did not use."""
    used = 0
    if row.started_at is not None:
        used = min(row.guest_seconds * _MAX_ATTEMPTS, math.ceil(max(0.0, now - row.started_at)))
    stored = 0
    for digest in (row.outputs_digest, row.result_digest, row.released_digest):
        blob = None if digest is None else session.get(BlobRow, digest)
        stored += 0 if blob is None else blob.size
    back = used - row.guest_seconds
    give_back(session, "organisation", row.organisation, jobs=1, guest_seconds=back)
    give_back(session, "project", row.project, jobs=1, guest_seconds=back, stored_bytes=stored)
    row.guest_seconds = used


def _new_row(
    manifest: JobManifest, digest: str, now: str, organisation: str, guest_seconds: int
) -> JobRow:
    return JobRow(
        id="job-" + secrets.token_hex(8),
        job_digest=digest,
        researcher=manifest.researcher,
        project=manifest.project,
        organisation=organisation,
        guest_seconds=guest_seconds,
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
        "reason_code",
        "message",
        "checks_passed",
        "result_digest",
        "outputs_digest",
        "released_digest",
    ):
        value = getattr(update, name)
        if value is not None:
            setattr(row, name, value)
    if update.cause is not None:
        row.cause = update.cause.value
    if update.keys is not None:
        row.key_requested = True
        row.keys = canonical_json(KeyRequests(requests=update.keys)).decode()
    if update.exit is not None:
        row.exit = canonical_json(update.exit).decode()
