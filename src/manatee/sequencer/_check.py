"""Compares the database with the audit log: what was changed behind the service's back?

Whoever edits a row must edit the trail to match, and then the log, whose tree is signed and may be
mirrored and witnessed by others. Each finding names the row.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from manatee._clock import Clock, parse_timestamp
from manatee.errors import LedgerError, MalformedError
from manatee.ledger import SignedCheckpoint
from manatee.records import AuditEvent, read_record
from manatee.sequencer._audit_log import AuditLog
from manatee.store import AuditedRows, Store

PAGE = 1000
"""Events compared at a time."""


LATE_SECONDS = 60.0
"""An event that is older than this is in the log, unless nobody puts events there."""


@dataclass(frozen=True)
class Finding:
    """Something that is not as it was decided. `what` is a word to count by."""

    what: str
    where: str
    problem: str


def check_installation(
    store: Store,
    log: AuditLog,
    *,
    clock: Clock,
    kept: SignedCheckpoint | None = None,
    allow_older: bool = False,
) -> Iterator[Finding]:
    """Yield everything that database and log disagree on; harmless beside a working service.

    Args:
        store: The database.
        log: Its audit log.
        clock: To tell events that should have been in the log by now.
        kept: A checkpoint of the log from earlier; finds a log that was put back or made anew.
        allow_older: Pass over rows that say they are from before the trail began.

    Raises:
        StoreError: The database cannot be read.
    """
    try:
        log.check_files()
        if kept is not None:
            log.check_extends(kept)
        entries = list(log.entries())
    except LedgerError as error:
        yield Finding("log", "audit-log", error.message)
        return
    rows = AuditedRows(allow_older=allow_older)
    late = False
    for number, (logged, found) in enumerate(_pairs(store, entries), 1):
        if found is None:
            problem = "is in the log and not in the database" if logged else "is missing"
            yield Finding("audit", f"event {number}", problem)
        elif logged is not None and logged != found:
            yield Finding("audit", f"event {number}", "is not what the log holds")
        if logged is None and found is None:
            continue
        try:
            # where the two differ, the log's word counts
            event = read_record(logged or found or b"", AuditEvent, what="audit event")
        except MalformedError:
            yield Finding("audit", f"event {number}", "is no audit event")
            continue
        if event.number != number:
            yield Finding("audit", f"event {number}", f"has the number {event.number}")
        if logged is None and not late and _age(event, clock) > LATE_SECONDS:
            late = True
            yield Finding("log", f"event {number}", f"of {event.at} is still not in the log")
        rows.take_in(event)
    for where, problem in rows.compare(store.database):
        yield Finding(where.partition(" ")[0], where, problem)


def _age(event: AuditEvent, clock: Clock) -> float:
    return (clock() - parse_timestamp(event.at)).total_seconds()


def _pairs(store: Store, entries: list[bytes]) -> Iterator[tuple[bytes | None, bytes | None]]:
    """Yield for every number what the log and what the database holds.

    Ends at a page that is empty in both: what stands beyond stands where no event can.
    """
    for start in itertools.count(0, PAGE):
        kept = store.audit.kept(start, PAGE)
        last = max(min(len(entries), start + PAGE), max(kept, default=0))
        if last <= start:
            return
        for number in range(start + 1, last + 1):
            yield entries[number - 1] if number <= len(entries) else None, kept.get(number)
