"""What the tables must hold if nothing was done to them but what the audit trail says."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session

from manatee.errors import MalformedError
from manatee.records import AuditEvent, read_record
from manatee.store._audited_events import events
from manatee.store._audited_people import people, quotas, secrets
from manatee.store._audited_rooms import catalogue, clean_rooms
from manatee.store._audited_trail import Problem, Trail
from manatee.store._audited_work import decisions, work
from manatee.store._database import Database
from manatee.store._schema import AuditRow

_LOOKS: tuple[Callable[[Trail, Session], Iterator[Problem]], ...] = (
    events,
    people,
    secrets,
    quotas,
    clean_rooms,
    catalogue,
    work,
    decisions,
)


class AuditedRows:
    """Replays the trail, then looks at the tables."""

    def __init__(self, *, allow_older: bool = False) -> None:
        """Know nothing yet.

        Args:
            allow_older: Pass over rows that say they are from before the trail began: an earlier
                release left such, and whoever edits the database can make them.
        """
        self._trail = Trail(allow_older=allow_older)

    def take_in(self, event: AuditEvent) -> None:
        """Replay the next event."""
        self._trail.take_in(event)

    def compare(self, database: Database) -> Iterator[Problem]:
        """Yield what is wrong, at one moment of the database.

        Events that were written since the trail was read are replayed first, at the same moment.
        """
        with database.read() as session:
            newer = select(AuditRow.event).where(AuditRow.number > self._trail.taken_in)
            for text in session.scalars(newer.order_by(AuditRow.number)).all():
                try:
                    event = read_record(text.encode(), AuditEvent, what="stored audit event")
                except MalformedError:
                    continue  # the look at the trail's own rows names it
                self._trail.take_in(event)
            for look in _LOOKS:
                yield from look(self._trail, session)
