"""The audit trail: a row for every decision, in the very transaction that carries it out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import Session

from manatee._clock import Clock
from manatee.errors import NotFoundError
from manatee.records import AuditAction, AuditEvent, canonical_json, read_record
from manatee.store._audit_schema import AuditDatasetRow, AuditRow, SequencerRow
from manatee.store._database import Database, require_alone
from manatee.store._schema import ProjectPartyRow

AUDIT_LOG = "audit"


def record(
    session: Session,
    at: str,
    actor: str,
    action: AuditAction,
    *,
    outcome: str = "",
    organisation: str | None = None,
    project: str | None = None,
    job: str | None = None,
    datasets: Iterable[str] = (),
    person: str | None = None,
    digest: str | None = None,
) -> None:
    """Write an event in the caller's write transaction; see `AuditEvent` for the members."""
    require_alone(session)
    session.flush()
    last = session.scalar(select(func.max(AuditRow.number))) or 0
    event = AuditEvent(
        number=last + 1,
        at=at,
        actor=actor,
        action=action,
        outcome=outcome,
        organisation=organisation,
        project=project,
        job=job,
        datasets=tuple(sorted(set(datasets))),
        person=person,
        digest=digest,
    )
    session.add(
        AuditRow(
            number=event.number,
            event=canonical_json(event).decode(),
            actor=actor,
            person=person,
            organisation=organisation,
            project=project,
            job=job,
        )
    )
    session.flush()
    session.add_all(
        AuditDatasetRow(dataset=dataset, number=event.number) for dataset in event.datasets
    )


@dataclass(frozen=True)
class AuditQuery:
    """Which events; None asks for any.

    `person` finds what somebody did and what was done about them. `organisations` finds what was
    about one of these or in a project that one of them takes part in.
    """

    dataset: str | None = None
    project: str | None = None
    person: str | None = None
    job: str | None = None
    organisations: frozenset[str] | None = None


class Audit:
    """Reads the trail, and says who may put it into the log."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def page(
        self,
        query: AuditQuery,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = 100,
        newest_first: bool = False,
    ) -> list[AuditEvent]:
        """Return events in order.

        Args:
            query: Which.
            after: Only with a number above.
            before: Only with a number below; None for all.
            limit: At most this many.
            newest_first: Begin at the end.
        """
        wanted = select(AuditRow.event).where(AuditRow.number > after, *_conditions(query))
        if before is not None:
            wanted = wanted.where(AuditRow.number < before)
        order = AuditRow.number.desc() if newest_first else AuditRow.number
        with self._database.read() as session:
            return _events(session.scalars(wanted.order_by(order).limit(limit)))

    def get(self, number: int, query: AuditQuery) -> AuditEvent:
        """Return one event.

        Raises:
            NotFoundError: There is none of that number among those asked for.
        """
        wanted = select(AuditRow.event).where(AuditRow.number == number, *_conditions(query))
        with self._database.read() as session:
            text = session.scalars(wanted).one_or_none()
        if text is None:
            raise NotFoundError("there is no such event.")
        return _events([text])[0]

    def entries(self, start: int, limit: int) -> list[bytes]:
        """Return what the log must hold from an index on: the events' canonical JSON."""
        wanted = (
            select(AuditRow.number, AuditRow.event)
            .where(AuditRow.number > start)
            .order_by(AuditRow.number)
            .limit(limit)
        )
        with self._database.read() as session:
            rows = session.execute(wanted).all()
        found = []
        for expected, (number, text) in enumerate(rows, start + 1):
            if number != expected:
                break  # a row is missing: nothing after it is put into the log
            found.append(text.encode())
        return found

    def kept(self, start: int, limit: int) -> dict[int, bytes]:
        """Return the entries of events above a number, by number, as far as they are there."""
        wanted = select(AuditRow.number, AuditRow.event).where(
            AuditRow.number > start, AuditRow.number <= start + limit
        )
        with self._database.read() as session:
            return {number: text.encode() for number, text in session.execute(wanted)}

    def size(self) -> int:
        """Return the number of the last event."""
        with self._database.read() as session:
            return session.scalar(select(func.max(AuditRow.number))) or 0

    def lease(self, owner: str, *, seconds: float) -> bool:
        """Take or renew the right to write the log; False while another holds it."""
        now = self._clock().timestamp()
        with self._database.write() as session:
            row = session.get(SequencerRow, AUDIT_LOG, with_for_update=True)
            if row is None:
                row = SequencerRow(log=AUDIT_LOG, owner=owner, until=0.0)
                session.add(row)
            if row.owner != owner and row.until > now:
                return False
            row.owner, row.until = owner, now + seconds
            return True

    def give_up_lease(self, owner: str) -> None:
        """Let another write the log at once."""
        with self._database.write() as session:
            row = session.get(SequencerRow, AUDIT_LOG, with_for_update=True)
            if row is not None and row.owner == owner:
                row.until = 0.0


def _conditions(query: AuditQuery) -> Sequence[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if query.dataset is not None:
        found.append(
            AuditRow.number.in_(
                select(AuditDatasetRow.number).where(AuditDatasetRow.dataset == query.dataset)
            )
        )
    if query.project is not None:
        found.append(AuditRow.project == query.project)
    if query.job is not None:
        found.append(AuditRow.job == query.job)
    if query.person is not None:
        found.append((AuditRow.actor == query.person) | (AuditRow.person == query.person))
    if query.organisations is not None:
        names = sorted(query.organisations)
        found.append(
            or_(AuditRow.organisation.in_(names), AuditRow.project.in_(_projects_of(names)))
        )
    return found


def _projects_of(organisations: Collection[str]) -> Select[str]:
    return select(ProjectPartyRow.project).where(
        ProjectPartyRow.organisation.in_(list(organisations))
    )


def _events(texts: Iterable[str]) -> list[AuditEvent]:
    return [read_record(text.encode(), AuditEvent, what="stored audit event") for text in texts]
