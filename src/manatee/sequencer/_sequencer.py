"""The loop that brings the audit log up to the audit trail, in one process at a time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Self

from manatee.errors import LedgerError, StoreError
from manatee.sequencer._audit_log import AuditLog
from manatee.store import Store

_log = logging.getLogger("manatee.sequencer")

LEASE_SECONDS = 10.0
"""How long another process waits for one that is gone."""

IDLE_SECONDS = 0.5
"""Pause between two looks for new events."""


def _nothing(_point: str) -> None:
    """Stand in for the crash hook outside tests."""


class Sequencer:
    """Appends the audit trail to its log while it holds the lease."""

    def __init__(
        self,
        store: Store,
        log: AuditLog,
        *,
        owner: str,
        lease_seconds: float = LEASE_SECONDS,
        idle_seconds: float = IDLE_SECONDS,
        after_step: Callable[[str], None] = _nothing,
    ) -> None:
        """Make a sequencer that is not started.

        Args:
            store: Where the trail is.
            log: Where it goes; on a disk that every process that may take over sees.
            owner: An id no other running sequencer has.
            lease_seconds: How long the lease lasts without renewing.
            idle_seconds: Pause between two looks.
            after_step: Called between any two effects; lets tests crash there.
        """
        self._store = store
        self._log = log
        self._owner = owner
        self._lease_seconds = lease_seconds
        self._idle_seconds = idle_seconds
        self._after_step = after_step
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def advance(self) -> int:
        """Append one batch, if this process may; returns how many events.

        Raises:
            StoreError: The database or the log's disk failed; nothing is lost.
            LedgerError: The log holds what the trail does not, or is damaged: somebody must look.
        """
        if not self._store.audit.lease(self._owner, seconds=self._lease_seconds):
            return 0
        self._after_step("after lease")
        held, trail = self._log.size(), self._store.audit.size()
        if held > trail:
            raise LedgerError(
                f"the audit log holds {held} events and the database {trail}.",
                hint="Rows are missing. Run `manatee admin check`.",
            )
        if held == trail:
            return 0
        added = self._log.extend(self._store.audit.entries)
        self._after_step("after append")
        if not added:
            raise LedgerError(
                f"event {held + 1} of the audit trail is missing from the database.",
                hint="Run `manatee admin check`.",
            )
        return added

    def start(self) -> None:
        """Run in a thread of its own until `stop`."""
        self._thread = threading.Thread(target=self.run, name="sequencer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Put what is left into the log, give the lease up, and return."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def run(self) -> None:
        """Run until `stop` is called from another thread."""
        while not self._stopping.is_set():
            if not self._guarded():
                self._stopping.wait(self._idle_seconds)
        while self._guarded():
            pass
        try:
            self._store.audit.give_up_lease(self._owner)
        except StoreError as error:
            _log.error("the lease of the audit log could not be given up: %s", error.code)

    def _guarded(self) -> int:
        try:
            return self.advance()
        except (LedgerError, StoreError) as error:
            _log.error("the audit log does not advance: %s", error.message)
            return 0
