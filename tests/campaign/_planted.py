"""Bugs to plant into the reconcilers: a campaign that finds none of them is worth nothing."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from manatee.backends import GuestInputs, GuestState, Plan
from manatee.reconciler import Do, JobView, Move, Reconciler, _step
from manatee.records import Cause
from manatee.store import Job, JobUpdate

from ._place import SWEEP_SECONDS, PlaceBackend


def _launch_before_the_intention(reconciler: Reconciler) -> None:
    """The guest is started before its name is stored."""
    hands = reconciler._hands
    intend = hands._intend

    def wrong(job: Job) -> Job:
        plan = hands._backend(job).plan(hands._inputs.inputs(job))
        hands._backend(job).launch(plan)
        time.sleep(2 * SWEEP_SECONDS)
        return intend(job)

    _act("intend", lambda _hands, job: wrong(job))


def _no_check_at_the_write(reconciler: Reconciler) -> None:
    """Neither version nor lease is looked at when a job is written."""
    jobs = reconciler._store.jobs
    write = jobs.write

    def wrong(job: Job, after: Any, update: JobUpdate | None = None, **members: Any) -> Job:
        now = jobs.get(job.id)
        blind = replace(job, version=now.version, state=job.state)
        if now.state is not job.state:
            blind = replace(now)
            members.pop("owner", None)
            return _force(jobs, now, after, update)
        return write(blind, after, update, **(members | {"owner": None}))

    jobs.write = wrong  # type: ignore[method-assign]


def _force(jobs: Any, now: Job, after: Any, update: JobUpdate | None) -> Job:
    from manatee.records import JobEvent
    from manatee.store._job_rows import append_event, row_of

    with jobs._database.write() as session:
        row = row_of(session, now.id)
        row.version += 1
        row.state = after.value
        event = JobEvent(
            seq=row.events + 1, at=row.updated_at, kind="state", state=after.value, cause=None
        )
        append_event(session, row, event, state_changed=True)
    return jobs.get(now.id)


def _repeat_after_a_key(reconciler: Reconciler) -> None:
    """An attempt is repeated although it had asked for a key."""

    def wrong(job: JobView) -> Any:
        if job.attempt < _step.MAX_ATTEMPTS:
            return Do("retry")
        return Move(_step.JobState.FAILING, Cause.GUEST_LOST)

    _step._lost = wrong


def _a_new_name_each_time(_reconciler: Reconciler) -> None:
    """Guests are named by chance, not by job and attempt."""
    plan = PlaceBackend.plan

    def wrong(self: PlaceBackend, inputs: GuestInputs) -> Plan:
        made = plan(self, inputs)
        return replace(made, guest_name=f"{made.guest_name}-{secrets.token_hex(2)}")

    PlaceBackend.plan = wrong  # type: ignore[method-assign]


def _unknown_is_lost(_reconciler: Reconciler) -> None:
    """A place that cannot be asked is taken for one without the guest."""
    status = PlaceBackend.status

    def wrong(self: PlaceBackend, handle: Any) -> Any:
        found = status(self, handle)
        return replace(found, state=GuestState.LOST) if found.state is _UNKNOWN else found

    PlaceBackend.status = wrong  # type: ignore[method-assign]


def _old_claims(reconciler: Reconciler) -> None:
    """The sweep goes by the claims it read when the process began."""
    claims = reconciler._store.leases.claimed_guests()
    reconciler._store.leases.claimed_guests = lambda: claims  # type: ignore[method-assign]


_UNKNOWN = GuestState.UNKNOWN


def _act(name: str, action: Callable[[Any, Job], Job]) -> None:
    from manatee.reconciler import _carry_out

    _carry_out._ACTIONS[name] = action


BUGS: Mapping[str, Callable[[Reconciler], None]] = {
    "launch-before-intention": _launch_before_the_intention,
    "no-check-at-write": _no_check_at_the_write,
    "repeat-after-key": _repeat_after_a_key,
    "new-name-each-time": _a_new_name_each_time,
    "unknown-is-lost": _unknown_is_lost,
    "old-claims": _old_claims,
}
