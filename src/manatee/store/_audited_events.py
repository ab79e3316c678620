"""Looks whether the trail's own rows stand one after the other and are filed under what they say.

A row that is filed under nothing stays in the log and is missing from every list.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session

from manatee.errors import MalformedError
from manatee.records import AuditEvent, read_record
from manatee.store._audit_schema import AuditDatasetRow, AuditRow
from manatee.store._audited_trail import BROKEN, Problem, Trail

_PAGE = 1000


def events(_trail: Trail, session: Session) -> Iterator[Problem]:
    """Yield what is wrong with the rows of the trail."""
    expected, last = 1, None
    while True:
        wanted = select(AuditRow).order_by(AuditRow.number).limit(_PAGE)
        if last is not None:
            wanted = wanted.where(AuditRow.number > last)
        rows = session.scalars(wanted).all()
        if not rows:
            return
        last = rows[-1].number
        datasets = _datasets(session, rows[0].number, last)
        for row in rows:
            if row.number != expected:
                yield f"audit_events {row.number}", "stands where no event can stand"
            expected = row.number + 1
            yield from _row(row, datasets.get(row.number, set()))
        session.expunge_all()


def _datasets(session: Session, first: int, last: int) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    wanted = select(AuditDatasetRow.number, AuditDatasetRow.dataset).where(
        AuditDatasetRow.number >= first, AuditDatasetRow.number <= last
    )
    for number, dataset in session.execute(wanted):
        found.setdefault(number, set()).add(dataset)
    return found


def _row(row: AuditRow, datasets: set[str]) -> Iterator[Problem]:
    where = f"audit_events {row.number}"
    try:
        event = read_record(row.event.encode(), AuditEvent, what="stored audit event")
    except MalformedError:
        yield where, BROKEN
        return
    said = event.actor, event.person, event.organisation, event.project, event.job
    if said != (row.actor, row.person, row.organisation, row.project, row.job):
        yield where, "is filed under other names than it holds, and missing from lists"
    if datasets != set(event.datasets):
        yield where, "is filed under other data sets than it holds, and missing from lists"
