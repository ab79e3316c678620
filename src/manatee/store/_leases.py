"""Which reconciler works on which job. A lease that is not renewed may be taken over.

A lease keeps two reconcilers from doing the same work; it is not what keeps it correct. That is
the version in every write, deterministic guest names, and `launch` being idempotent.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Select, select, update

from manatee._clock import Clock
from manatee.errors import ConflictError
from manatee.jobs import TERMINAL_STATES, JobState
from manatee.store._changes import Changes
from manatee.store._database import Database
from manatee.store._job_rows import to_jobs
from manatee.store._jobs import IN_FLIGHT_STATES, count_in
from manatee.store._records import Job
from manatee.store._schema import JobRow

LONGEST_PAUSE_SECONDS = 60.0
"""The longest that a job may be left alone by `release`."""

_TOO_FAR = 3
"""A lease or pause that ends later than so many times its longest was set by a wrong clock."""

_LIVE = [state.value for state in JobState if state not in TERMINAL_STATES]


class Leases:
    """Claims on jobs."""

    def __init__(self, database: Database, clock: Clock, changes: Changes) -> None:
        self._database = database
        self._clock = clock
        self._changes = changes

    def _free(self, now: float, seconds: float) -> Select[JobRow]:
        """Select the jobs to be claimed.

        Whoever set a lease or a pause may have had a clock that was ahead, and have died since:
        one that ends later than any could is over. Taking it from somebody who is alive is safe.
        """
        return (
            select(JobRow)
            .where(
                JobRow.state.in_(_LIVE),
                (JobRow.due_at <= now) | (JobRow.due_at > now + _TOO_FAR * LONGEST_PAUSE_SECONDS),
                JobRow.lease_owner.is_(None)
                | (JobRow.lease_until <= now)
                | (JobRow.lease_until > now + _TOO_FAR * seconds),
            )
            .order_by(JobRow.number)
        )

    def claim(
        self, owner: str, *, seconds: float, limit: int, max_jobs_in_flight: int
    ) -> list[Job]:
        """Take leases on jobs that need work and that nobody holds, oldest first.

        Approved jobs are left where they are while no slot is free for them.

        Args:
            owner: The reconciler's id, different for every process.
            seconds: How long the leases last; all reconcilers of a store should say the same.
            limit: At most this many jobs.
            max_jobs_in_flight: Slots of the installation.
        """
        if limit <= 0:
            return []
        now = self._clock().timestamp()
        with self._database.read() as session:
            if session.scalars(self._free(now, seconds).limit(1)).first() is None:
                return []  # the usual case costs no write transaction
        with self._database.write_locked_rows() as session:
            approved = JobState.APPROVED.value
            # a hint: who takes a slot counts again, in a transaction that is alone
            slots = max(0, max_jobs_in_flight - count_in(session, IN_FLIGHT_STATES))
            rows = list(
                session.scalars(
                    self._free(now, seconds)
                    .where(JobRow.state != approved)
                    .limit(limit)
                    .with_for_update(skip_locked=True)
                )
            )
            rows += session.scalars(
                self._free(now, seconds)
                .where(JobRow.state == approved)
                .limit(min(slots, limit - len(rows)))
                .with_for_update(skip_locked=True)
            )
            for row in rows:
                row.lease_owner = owner
                row.lease_until = now + seconds
            session.flush()
            return to_jobs(session, rows, now)

    def renew(self, owner: str, job_ids: Collection[str], *, seconds: float) -> frozenset[str]:
        """Prolong leases; returns the jobs that are still the owner's."""
        if not job_ids:
            return frozenset()
        until = self._clock().timestamp() + seconds
        mine = (JobRow.id.in_(list(job_ids))) & (JobRow.lease_owner == owner)
        with self._database.write_locked_rows() as session:
            session.execute(update(JobRow).where(mine).values(lease_until=until))
            return frozenset(session.scalars(select(JobRow.id).where(mine)))

    def require(self, owner: str, job: Job) -> None:
        """Check that a job is as it was read, and in the owner's hands.

        Raises:
            ConflictError: It changed since, or the lease is another's.
        """
        with self._database.read() as session:
            row = session.scalars(select(JobRow).where(JobRow.id == job.id)).one_or_none()
            if row is None or row.version != job.version or row.lease_owner != owner:
                raise ConflictError("the job changed meanwhile.", hint="Look at it again.")

    def release(self, owner: str, job: Job, *, again_in: float) -> None:
        """Give a lease back; without effect if it is another's.

        Args:
            owner: Who holds it.
            job: As last read. If the job changed since, it is due at once.
            again_in: Seconds after which the job is looked at again if nothing wakes it; at most
                `LONGEST_PAUSE_SECONDS`.
        """
        due = self._clock().timestamp() + min(again_in, LONGEST_PAUSE_SECONDS)
        with self._database.write_locked_rows() as session:
            row = session.scalars(
                select(JobRow)
                .where(JobRow.id == job.id, JobRow.lease_owner == owner)
                .with_for_update()
            ).one_or_none()
            if row is None:
                return
            row.lease_owner = None
            row.lease_until = 0.0
            row.due_at = due if row.version == job.version else 0.0

    def claimed_guests(self) -> frozenset[str]:
        """Return the guest names of all live jobs; a guest of any other name is an orphan."""
        with self._database.read() as session:
            names = session.scalars(
                select(JobRow.guest_name).where(
                    JobRow.state.in_(_LIVE), JobRow.guest_name.is_not(None)
                )
            )
            return frozenset(name for name in names if name is not None)
