"""Carrying out what `step` decided. Every action may be done twice and counts once.

The intention is stored before each effect: the attempt and the guest's name before the launch,
the result before the clean-up, the clean-up before the terminal state.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from manatee._clock import Clock
from manatee.backends import Backend, GuestState, Handle
from manatee.errors import (
    BackendError,
    InputError,
    LedgerError,
    ManateeError,
    StoreError,
)
from manatee.jobs import TERMINAL_STATES, JobState
from manatee.ledger import EntryLog
from manatee.policy import count_approvers
from manatee.reconciler._checks import check_job
from manatee.reconciler._inputs import InputsFolder
from manatee.reconciler._result import logged_as, read_result
from manatee.reconciler._step import Action, Do, JobView, Move, Observed, ResultView, Wait
from manatee.records import Cause, canonical_json, digest_bytes, digest_file, read_record
from manatee.store import Job, JobUpdate, Store

AfterStep = Callable[[str], None]
"""Called with the name of each point between two effects; tests crash the process there."""

_WITH_GUEST = frozenset(
    {
        JobState.LAUNCHING,
        JobState.ATTESTING,
        JobState.RUNNING,
        JobState.OUTPUT_CHECK,
        JobState.AWAITING_RELEASE,
        JobState.FAILING,
        JobState.CANCELLING,
    }
)
_MAX_RESULT_BYTES = 8 << 20


def view_of(job: Job) -> JobView:
    """Return what `step` needs of a job."""
    result = None
    if job.exit is not None:
        result = ResultView(job.exit.succeeded, job.checks_passed is True, job.exit.cause)
    return JobView(
        state=job.state,
        attempt=job.attempt,
        planned=job.guest_name is not None,
        launched=job.handle is not None,
        key_requested=job.key_requested,
        keys=job.keys,
        result=result,
        halt=job.halt,
    )


class Hands:
    """Observes guests and carries actions out, for one reconciler."""

    def __init__(
        self,
        *,
        store: Store,
        backends: Mapping[str, Backend],
        inputs: InputsFolder,
        runtimes: Mapping[str, Path],
        clock: Clock,
        owner: str,
        max_jobs_in_flight: int,
        run_log: EntryLog | None,
        after_step: AfterStep,
    ) -> None:
        self._store = store
        self._backends = backends
        self._inputs = inputs
        self._runtimes = runtimes
        self._clock = clock
        self._owner = owner
        self._max_jobs_in_flight = max_jobs_in_flight
        self._run_log = run_log
        self._after_step = after_step

    # --- observing ------------------------------------------------------------------------------

    def observe(self, job: Job) -> tuple[Job, Observed]:
        """Look at the job's guest and at what people decided; new progress is stored.

        Raises:
            ConflictError: The job changed meanwhile.
            StoreError: The store failed.
        """
        if job.state is JobState.AWAITING_APPROVAL:
            return job, Observed(approved=self._approved(job, self._clock()))
        if job.state not in _WITH_GUEST or job.guest_name is None:
            return job, Observed()
        backend, handle = self._backend(job), self._handle(job)
        if job.state in (JobState.FAILING, JobState.CANCELLING, JobState.AWAITING_RELEASE):
            status = backend.status(handle)
            gone = status.state is GuestState.LOST  # only then does `step` ask what was decided
            return job, Observed(
                guest=status.state,
                cause=status.cause,
                keys=status.keys,
                released=self._released(job) if gone else None,
            )
        # status first: events that come before an observed end are then surely all there
        status = backend.status(handle)
        if status.state is not GuestState.UNKNOWN:
            events = backend.events(handle, job.guest_seq)
            job = self._store.jobs.add_progress(job, events, owner=self._owner)
        return job, Observed(
            guest=status.state,
            cause=status.cause,
            keys=status.keys,
            allowed=status.allowed,
            phase=job.phase,
        )

    def _approved(self, job: Job, at: datetime) -> bool:
        approvals = self._store.decisions.approvals(job.id)
        project = self._store.projects.get(job.manifest.project).project
        needed = {party.organisation: party.approvals_needed for party in project.parties}
        return bool(job.providers) and all(
            count_approvers(
                approvals,
                job_digest=job.job_digest,
                provider=provider,
                trusted_keys=self._store.accounts.approval_keys(provider),
                at=at,
            )
            >= max(1, needed.get(provider, 1))
            for provider in job.providers
        )

    def _released(self, job: Job) -> bool | None:
        if job.state is not JobState.AWAITING_RELEASE:
            return None
        uses = job.manifest.datasets
        entries = [self._store.datasets.get(use.name, use.version) for use in uses]
        reviewed = {review.provider: review for review in self._store.decisions.reviews(job.id)}
        if not all(review.approved for review in reviewed.values()):
            return False
        by_hand = {
            entry.publication.dataset.provider
            for entry in entries
            if entry.publication.output_policy.release != "automatic"
        }
        return True if by_hand <= reviewed.keys() else None

    # --- carrying out ---------------------------------------------------------------------------

    def carry_out(self, job: Job, action: Action) -> Job:
        """Do one action; returns the job as written.

        Raises:
            ConflictError: The job changed meanwhile; look again.
            LimitError: No slot is free.
            ManateeError: The action failed. Retryable ones may be tried again.
        """
        match action:
            case Wait():
                return job
            case Move(after, cause):
                return self._move(job, after, cause)
            case Do(what):
                return _ACTIONS[what](self, job)

    def fail(self, job: Job, error: ManateeError) -> Job:
        """Turn an error that will not go away into the job's failure."""
        return self._write(
            job,
            JobState.FAILING,
            JobUpdate(cause=Cause.BACKEND, reason_code=error.code, message=error.message),
        )

    def _write(self, job: Job, after: JobState, update: JobUpdate | None = None) -> Job:
        self._after_step("before write")
        terminal = after in TERMINAL_STATES
        written = self._store.jobs.write(
            job, after, update, owner=self._owner, release_lease=terminal
        )
        self._after_step("after write")
        return written

    def _backend(self, job: Job) -> Backend:
        try:
            return self._backends[job.manifest.backend_kind]
        except KeyError:
            raise BackendError(
                f"the backend {job.manifest.backend_kind!r} is no longer here.",
                hint="Start the service with it until its jobs have ended.",
            ) from None

    def _handle(self, job: Job) -> Handle:
        if job.handle is not None:
            return read_record(job.handle.encode(), Handle, what="stored handle")
        # a guest may have been launched just before a crash: its name is known all the same
        return Handle(kind=job.manifest.backend_kind, guest_name=job.guest_name or "")

    def _move(self, job: Job, after: JobState, cause: Cause | None) -> Job:
        if after is JobState.BUILDING:
            self._after_step("before write")
            return self._store.jobs.write(
                job, after, owner=self._owner, in_flight_limit=self._max_jobs_in_flight
            )
        if after in TERMINAL_STATES:
            if job.guest_name is not None:
                self._backend(job).cleanup(self._handle(job))
                self._after_step("after clean_up")
            self._inputs.remove(job)
            self._log_run(job)
        message, reason_code = "", None
        if after is JobState.CANCELLING and job.halt is not None:
            reason_code, message = f"project-{job.halt}", f"its project was {job.halt}."
        if after is JobState.REJECTED:
            refused = [r for r in self._store.decisions.reviews(job.id) if not r.approved]
            message = refused[0].reason if refused else ""
        released = None
        if after is JobState.RELEASED:
            reviews = self._store.decisions.reviews(job.id)
            released = next((r.outputs_digest for r in reviews if r.outputs_digest), None)
        update = JobUpdate(
            cause=cause,
            reason_code=reason_code,
            message=message or None,
            released_digest=released,
        )
        return self._write(job, after, update)

    def _log_run(self, job: Job) -> None:
        """Put the run into the log of runs, before its job ends.

        The intention is the stored result. The log knows its entries, so a second call after a
        crash adds nothing. As long as the log cannot be written, the job does not end.
        """
        if self._run_log is None or job.result_digest is None:
            return
        entry = logged_as(self._store.blobs.read(job.result_digest))
        if entry is None:
            return
        self._after_step("before log")
        try:
            self._run_log.prove(entry)
        except LedgerError as error:
            raise StoreError("the log of runs cannot be written.", hint=error.message) from error
        self._after_step("after log")

    def _check(self, job: Job) -> Job:
        try:
            check_job(
                job, self._store, runtimes=self._runtimes, backend_kinds=self._backends.keys()
            )
        except InputError as error:
            return self._write(
                job,
                JobState.REJECTED,
                JobUpdate(cause=Cause.CHECKS, reason_code=error.code, message=str(error)),
            )
        return self._write(job, JobState.AWAITING_APPROVAL)

    def _build(self, job: Job) -> Job:
        self._inputs.build(job)
        self._after_step("after build")
        return self._write(job, JobState.BUILT)

    def _intend(self, job: Job) -> Job:
        plan = self._backend(job).plan(self._inputs.inputs(job))
        return self._write(job, JobState.LAUNCHING, JobUpdate(guest_name=plan.guest_name))

    def _launch(self, job: Job) -> Job:
        plan = self._backend(job).plan(self._inputs.inputs(job))
        if plan.guest_name != job.guest_name:
            raise BackendError("the guest's name is not the one stored before its launch.")
        self._after_step("before launch")
        # A backend forgets a guest once it is cleaned up. Whoever slept for longer than its lease
        # must not start one again that others have seen come and go. Should it fall asleep on the
        # next line, the key broker refuses that guest a second key, and the sweep removes it.
        self._store.leases.require(self._owner, job)
        handle = self._backend(job).launch(plan)
        self._after_step("after launch")
        return self._write(
            job, JobState.LAUNCHING, JobUpdate(handle=canonical_json(handle).decode())
        )

    def _note_keys(self, job: Job) -> Job:
        """Record requests and answers. Refused in a project that is stopped: nothing is allowed."""
        seen = self._backend(job).status(self._handle(job)).keys
        noted = {request.broker_id: request for request in job.keys}
        for request in seen:
            if request.broker_id not in noted or noted[request.broker_id].answer is None:
                noted[request.broker_id] = request
        keys = tuple(noted[broker_id] for broker_id in sorted(noted))
        if keys == job.keys:
            return job  # the guest could not be asked just now
        return self._write(job, job.state, JobUpdate(keys=keys))

    def _allow_keys(self, job: Job) -> Job:
        # a stop since the request was recorded has changed the job: nothing is allowed after it
        self._store.leases.require(self._owner, job)
        for request in job.keys:
            if request.answer is None:
                self._backend(job).allow_keys(self._handle(job), request.broker_id)
        self._after_step("after allow_keys")
        return job

    def _collect(self, job: Job) -> Job:
        collected = self._backend(job).collect(self._handle(job))
        self._after_step("after collect")
        read = read_result(job, collected.result)
        if read.outputs_digest is not None:
            if collected.outputs is None:
                raise BackendError("the outputs the run statement names are missing.")
            try:
                found, size = digest_file(collected.outputs)
                if found != read.outputs_digest:
                    raise BackendError("the outputs are not those the run statement names.")
                with collected.outputs.open("rb") as file:
                    chunks = iter(functools.partial(file.read, 1 << 20), b"")
                    self._store.blobs.put(found, chunks, account=None, max_bytes=size)
            except OSError as error:
                raise BackendError("the guest's outputs cannot be read.") from error
        text = canonical_json(collected.result)
        result_digest = digest_bytes(text)
        self._store.blobs.put(result_digest, [text], account=None, max_bytes=_MAX_RESULT_BYTES)
        self._after_step("after blobs")
        return self._write(
            job,
            job.state,
            JobUpdate(
                exit=read.exit,
                checks_passed=read.checks_passed,
                result_digest=result_digest,
                outputs_digest=read.outputs_digest,
            ),
        )

    def _cancel(self, job: Job) -> Job:
        self._backend(job).cancel(self._handle(job))
        self._after_step("after cancel")
        return job

    def _clean_up(self, job: Job) -> Job:
        self._backend(job).cleanup(self._handle(job))
        self._after_step("after clean_up")
        return job

    def _retry(self, job: Job) -> Job:
        self._backend(job).cleanup(self._handle(job))
        self._after_step("after clean_up")
        return self._write(job, JobState.BUILT, JobUpdate(new_attempt=job.attempt + 1))


_ACTIONS: dict[str, Callable[[Hands, Job], Job]] = {
    "check": Hands._check,  # noqa: SLF001  # the table belongs to the class
    "build": Hands._build,  # noqa: SLF001
    "intend": Hands._intend,  # noqa: SLF001
    "launch": Hands._launch,  # noqa: SLF001
    "note_keys": Hands._note_keys,  # noqa: SLF001
    "allow_keys": Hands._allow_keys,  # noqa: SLF001
    "collect": Hands._collect,  # noqa: SLF001
    "cancel": Hands._cancel,  # noqa: SLF001
    "clean_up": Hands._clean_up,  # noqa: SLF001
    "retry": Hands._retry,  # noqa: SLF001
}
