"""The loop: claim jobs, let worker threads bring each one as far as it goes, wait, again.

Any number of reconcilers may run on one store. Each holds leases on the jobs it works on and
renews them; what a stopped one held is taken over when its leases expire.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from manatee._clock import Clock, monotonic
from manatee.backends import Backend
from manatee.errors import (
    ConflictError,
    LimitError,
    ManateeError,
    NotFoundError,
    StoreError,
    TransitionError,
)
from manatee.jobs import JobState
from manatee.ledger import EntryLog
from manatee.reconciler._carry_out import AfterStep, Hands, view_of
from manatee.reconciler._inputs import InputsFolder
from manatee.reconciler._step import Do, Wait, step
from manatee.store import Store

_log = logging.getLogger("manatee.reconciler")

SLOW_SECONDS = 60.0
"""After this long a job that waits for people is looked at even if nothing woke it."""

RETRY_SECONDS = 0.5
"""Pause after an error that may go away."""

SWEEP_SECONDS = 30.0
"""Pause between two looks for guests that no job claims."""

_ENDING = frozenset({JobState.FAILING, JobState.CANCELLING})


@dataclass
class _Held:
    """A job this reconciler has the lease of."""

    job_id: str
    due: float = 0.0
    """Monotonic seconds."""
    busy: bool = False


def _nothing(_point: str) -> None:
    """Stand in for the crash hook outside tests."""


class Reconciler:
    """Brings jobs forward until they end."""

    def __init__(
        self,
        *,
        store: Store,
        backends: Mapping[str, Backend],
        runtimes: Mapping[str, Path],
        folder: Path,
        clock: Clock,
        owner: str,
        lease_seconds: float = 10.0,
        poll_seconds: float = 0.05,
        sweep_seconds: float = SWEEP_SECONDS,
        max_jobs_in_flight: int = 2,
        workers: int = 4,
        run_log: EntryLog | None = None,
        after_step: AfterStep = _nothing,
    ) -> None:
        """Make a reconciler.

        Args:
            store: Shared with the API and other reconcilers.
            backends: Backend kind to backend.
            runtimes: Runtime digest to the runtime's folder.
            folder: Where the jobs' own folders are made.
            clock: For leases and approvals.
            owner: An id no other running reconciler has.
            lease_seconds: How long a job stays this reconciler's without renewing.
            poll_seconds: Pause between two looks at a running guest or an idle queue.
            sweep_seconds: Pause between two looks for guests that no job claims.
            max_jobs_in_flight: Jobs between building and output check, in the whole installation.
            workers: Jobs worked on at one time; a slow one does not hold up the others.
            run_log: Every run that left a statement is in it before its job ends; None: there is
                no such log.
            after_step: Called between any two effects; lets tests crash there.
        """
        self._store = store
        self._backends = backends
        self._owner = owner
        self._lease_seconds = lease_seconds
        self._poll_seconds = poll_seconds
        self._sweep_seconds = sweep_seconds
        self._max_jobs_in_flight = max_jobs_in_flight
        self._max_held = max_jobs_in_flight + 4 * workers
        self._workers = workers
        self._hands = Hands(
            store=store,
            backends=backends,
            inputs=InputsFolder(store, folder, runtimes),
            runtimes=runtimes,
            clock=clock,
            owner=owner,
            max_jobs_in_flight=max_jobs_in_flight,
            run_log=run_log,
            after_step=after_step,
        )
        self._held: dict[str, _Held] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    # --- running --------------------------------------------------------------------------------

    def start(self) -> None:
        """Run in a thread of its own until `stop`."""
        self._thread = threading.Thread(target=self.run, name="reconciler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the actions in hand, give all leases back and return. Guests go on."""
        self._stopping.set()
        self._store.changes.raised()
        if self._thread is not None:
            self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def run(self) -> None:
        """Run until `stop` is called from another thread or a signal handler."""
        with ThreadPoolExecutor(self._workers, thread_name_prefix="reconciler") as pool:
            renew_at = claim_at = sweep_at = 0.0
            while not self._stopping.is_set():
                seen = self._store.changes.count
                now = monotonic()
                try:
                    if now >= renew_at:
                        self._renew()
                        renew_at = now + self._lease_seconds / 3
                    if now >= claim_at:
                        self._claim()
                        # every step of every job wakes this loop: not each may ask the database
                        claim_at = monotonic() + self._poll_seconds / 2
                    if now >= sweep_at:
                        sweep_at = now + self._sweep_seconds
                        pool.submit(self._guarded_sweep)
                except StoreError as error:
                    _log.error("the store failed: %s", error.code)
                    self._stopping.wait(RETRY_SECONDS)
                if not self._dispatch(pool, now):
                    self._store.changes.wait(seen, self._poll_seconds)
        self._give_back()

    def _renew(self) -> None:
        with self._lock:
            ids = list(self._held)
        kept = self._store.leases.renew(self._owner, ids, seconds=self._lease_seconds)
        with self._lock:
            for job_id in ids:
                if job_id not in kept:
                    self._held.pop(job_id, None)

    def _claim(self) -> None:
        with self._lock:
            room = self._max_held - len(self._held)
        claimed = self._store.leases.claim(
            self._owner,
            seconds=self._lease_seconds,
            limit=room,
            max_jobs_in_flight=self._max_jobs_in_flight,
        )
        with self._lock:
            for job in claimed:
                self._held.setdefault(job.id, _Held(job.id))

    def _dispatch(self, pool: ThreadPoolExecutor, now: float) -> bool:
        with self._lock:
            due = [held for held in self._held.values() if not held.busy and held.due <= now]
            for held in due:
                held.busy = True
        for held in due:
            pool.submit(self._work, held)
        return bool(due)

    def _work(self, held: _Held) -> None:
        pause: float | None = RETRY_SECONDS
        try:
            pause = self.advance(held.job_id)
        except ManateeError as error:
            _log.warning("job %s is tried again: %s", held.job_id, error.code)
        except Exception:  # noqa: BLE001  # outermost boundary: one job's bug stops no other job
            _log.exception("job %s met an unexpected error and is tried again", held.job_id)
        finally:
            with self._lock:
                if pause is None:
                    self._held.pop(held.job_id, None)
                held.due = monotonic() + (pause or 0.0)
                held.busy = False

    def _give_back(self) -> None:
        with self._lock:
            ids = list(self._held)
            self._held.clear()
        for job_id in ids:
            try:
                self._store.leases.release(self._owner, self._store.jobs.get(job_id), again_in=0.0)
            except (NotFoundError, StoreError) as error:
                _log.warning("a lease was left to expire: %s", error.code)

    # --- one job --------------------------------------------------------------------------------

    def advance(self, job_id: str) -> float | None:
        """Bring one job, whose lease is held, as far as it goes now.

        Returns:
            Seconds until it should be looked at again, or None once it is no longer held.

        Raises:
            ManateeError: Something failed that may go away; nothing is lost.
        """
        job = self._store.jobs.get(job_id)
        while not job.terminal:
            if self._stopping.is_set():
                return 0.0
            try:
                job, observed = self._hands.observe(job)
                action = step(view_of(job), observed)
                if isinstance(action, Wait):
                    if action.quick:
                        return self._poll_seconds
                    self._store.leases.release(self._owner, job, again_in=SLOW_SECONDS)
                    return None
                job = self._hands.carry_out(job, action)
                if action == Do("cancel"):
                    return self._poll_seconds
            except LimitError:
                self._store.leases.release(self._owner, job, again_in=0.0)
                return None
            except TransitionError:
                raise  # a bug; looking again would not change it
            except ConflictError:
                renewed = self._store.leases.renew(
                    self._owner, [job.id], seconds=self._lease_seconds
                )
                if not renewed:
                    return None  # another reconciler has it now
                job = self._store.jobs.get(job.id)
            except ManateeError as error:
                if error.retryable or job.state in _ENDING or job.terminal:
                    raise
                _log.warning("job %s fails: %s", job.id, error.code)
                job = self._hands.fail(job, error)
        return None

    def settle(self) -> None:
        """Claim and advance jobs until nothing can be done at once, then give them back.

        For tests and single steps, instead of `run`.
        """
        progressed = True
        while progressed:
            seen = self._store.changes.count
            self._claim()
            for job_id in list(self._held):
                if self.advance(job_id) is None:
                    self._held.pop(job_id, None)
            progressed = self._store.changes.count != seen
        self._give_back()

    # --- orphans --------------------------------------------------------------------------------

    def _guarded_sweep(self) -> None:
        try:
            self.sweep()
        except ManateeError as error:
            _log.warning("the sweep for orphans is tried again: %s", error.code)

    def sweep(self) -> int:
        """Remove guests that no live job claims; returns how many.

        Names are stored before guests are launched, so a guest that was listed before the claims
        were read and still is not among them belongs to nobody.
        """
        removed = 0
        for backend in self._backends.values():
            orphans = backend.list_orphans(self._store.leases.claimed_guests())
            claimed = self._store.leases.claimed_guests()
            for handle in orphans:
                if handle.guest_name not in claimed:
                    backend.cleanup(handle)
                    removed += 1
        return removed
