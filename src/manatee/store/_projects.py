"""Clean rooms: proposed by one party, agreed to by all, open for a time, stopped by any."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, exists, select, update
from sqlalchemy.orm import Session, aliased

from manatee._clock import Clock, timestamp
from manatee.errors import ConflictError, NotFoundError, UnknownDatasetError
from manatee.jobs import TERMINAL_STATES
from manatee.records import (
    LOCAL_OPERATOR,
    AuditAction,
    Project,
    ProjectAnswer,
    ProjectState,
    Quota,
    StoppedProject,
    canonical_json,
    check_project,
    digest_bytes,
    digest_record,
    read_record,
)
from manatee.store._allowances import quota_and_usage, set_quota
from manatee.store._audit import record
from manatee.store._changes import Changes
from manatee.store._database import Database
from manatee.store._moments import seconds_of
from manatee.store._schema import (
    DatasetRow,
    JobRow,
    OrganisationRow,
    ProjectDatasetRow,
    ProjectPartyRow,
    ProjectRow,
)

_NO_PROJECT = "there is no such project."
_ENDED = [state.value for state in TERMINAL_STATES]


@dataclass(frozen=True)
class Room:
    """Who takes part in a project, for deciding rights.

    `homes` are the parties that provide one of its data sets.
    """

    parties: frozenset[str]
    homes: frozenset[str]


def is_open(now: float) -> ColumnElement[bool]:
    """Return the condition that a project takes jobs: agreed by all, in its time, not stopped."""
    party = aliased(ProjectPartyRow)  # not the one that a query around this may ask for
    unagreed = exists().where(party.project == ProjectRow.name, party.agreed_at.is_(None))
    return (
        ProjectRow.stopped_at.is_(None)
        & (ProjectRow.starts_at <= now)
        & (ProjectRow.ends_at > now)
        & ~unagreed
    )


def room_of(session: Session, name: str) -> Room:
    """Return who takes part in a project; nobody if there is none."""
    parties = session.scalars(
        select(ProjectPartyRow.organisation).where(ProjectPartyRow.project == name)
    ).all()
    providers = session.scalars(
        select(DatasetRow.provider)
        .join(ProjectDatasetRow, ProjectDatasetRow.dataset == DatasetRow.name)
        .where(ProjectDatasetRow.project == name)
        .distinct()
    )
    return Room(frozenset(parties), frozenset(parties) & frozenset(providers))


class Projects:
    """All projects; the service's word on them. Key brokers decide for themselves."""

    def __init__(self, database: Database, clock: Clock, changes: Changes) -> None:
        self._database = database
        self._clock = clock
        self._changes = changes

    def propose(self, project: Project, *, by: str, actor: str = LOCAL_OPERATOR) -> ProjectAnswer:
        """Keep a project, with the agreement of the party that proposes it.

        Proposing exactly the same again changes nothing. The caller has checked that `by` may.

        Raises:
            ManifestError: It contradicts itself.
            MalformedError: A time is no time.
            ConflictError: The name is taken, or `by` is not a party.
            NotFoundError: A party is no organisation here.
        """
        check_project(project)
        digest, now = digest_record(project), timestamp(self._clock())
        names = {party.organisation for party in project.parties}
        if by not in names:
            raise ConflictError(f"{by!r} is not a party of the project it proposes.")
        with self._database.write() as session:
            row = self._row(session, project.name)
            if row is not None and row.digest != digest:
                raise ConflictError(
                    f"there is another project {project.name!r}.", hint="Give it another name."
                )
            if row is None:
                known = set(
                    session.scalars(
                        select(OrganisationRow.name).where(OrganisationRow.name.in_(names))
                    )
                )
                if known != names:
                    missing = ", ".join(sorted(names - known))
                    raise NotFoundError(f"there is no organisation {missing}.")
                self._check_providers(session, project, names)
                self._insert(session, project, digest, by, now)
                _record(session, now, actor, "project-proposed", project, by, digest)
            return self._answer(session, project.name)

    @staticmethod
    def _check_providers(session: Session, project: Project, names: Collection[str]) -> None:
        """Refuse data sets of others, who would not be asked."""
        pairs = session.execute(
            select(DatasetRow.name, DatasetRow.provider)
            .where(DatasetRow.name.in_(project.datasets))
            .distinct()
        )
        needed = {party.organisation: party.approvals_needed for party in project.parties}
        for dataset, provider in pairs:
            if provider not in names:
                # as if there were none: the project would tell who provides it
                raise UnknownDatasetError(
                    f"no party of the project provides a data set {dataset!r}.",
                    hint="Name its provider as a party.",
                )
            if needed[provider] == 0:
                raise ConflictError(
                    f"{provider!r} provides {dataset!r}: approvals_needed must be 1 or more."
                )

    @staticmethod
    def _insert(session: Session, project: Project, digest: str, by: str, now: str) -> None:
        session.add(
            ProjectRow(
                name=project.name,
                digest=digest,
                project=canonical_json(project).decode(),
                starts_at=seconds_of(project.starts_at),
                ends_at=seconds_of(project.ends_at),
                proposed_by=by,
                proposed_at=now,
            )
        )
        session.flush()
        session.add_all(
            ProjectPartyRow(
                project=project.name,
                organisation=party.organisation,
                approvals_needed=party.approvals_needed,
                agreed_at=now if party.organisation == by else None,
            )
            for party in project.parties
        )
        session.add_all(
            ProjectDatasetRow(project=project.name, dataset=dataset) for dataset in project.datasets
        )
        session.flush()

    def agree(
        self, name: str, *, organisation: str, digest: str, actor: str = LOCAL_OPERATOR
    ) -> ProjectAnswer:
        """Keep a party's yes. Idempotent. The caller has checked that the person may give it.

        Raises:
            NotFoundError: No such project, or the organisation is no party.
            ConflictError: The digest is that of something else, or the project was stopped.
        """
        now = timestamp(self._clock())
        with self._database.write() as session:
            row = self._row(session, name)
            party = session.get(ProjectPartyRow, (name, organisation))
            if row is None or party is None:
                raise NotFoundError(_NO_PROJECT)
            if row.digest != digest:
                raise ConflictError(
                    "that is not this project's digest.", hint="Read the project again."
                )
            if row.stopped_at is not None:
                raise ConflictError("the project was stopped.", hint="Propose a new one.")
            if party.agreed_at is None:
                party.agreed_at = now
                project = read_record(row.project.encode(), Project, what="stored project")
                _record(session, now, actor, "project-agreed", project, organisation, digest)
            session.flush()
            answer = self._answer(session, name)
        self._changes.raised()
        return answer

    def stop(
        self, name: str, *, by: str, reason: str, actor: str = LOCAL_OPERATOR
    ) -> ProjectAnswer:
        """Stop a project for good: no job is taken in, every job of it is cancelled.

        Stopping again changes nothing; the first reason stands. The reconcilers see it at their
        next look, which is due at once.

        Raises:
            NotFoundError: No such project.
        """
        now = timestamp(self._clock())
        with self._database.write() as session:
            row = self._row(session, name)
            if row is None:
                raise NotFoundError(_NO_PROJECT)
            if row.stopped_at is None:
                row.stopped_by, row.stopped_at, row.stopped_reason = by, now, reason
                project = read_record(row.project.encode(), Project, what="stored project")
                why = digest_bytes(reason.encode())
                _record(session, now, actor, "project-stopped", project, by, why)
                session.execute(
                    update(JobRow)
                    .where(JobRow.project == name, JobRow.state.not_in(_ENDED))
                    .values(due_at=0.0, version=JobRow.version + 1)
                )
            session.flush()
            answer = self._answer(session, name)
        self._changes.raised()
        return answer

    def set_quota(self, name: str, quota: Quota, *, by: str = LOCAL_OPERATOR) -> None:
        """Set a project's limits.

        Raises:
            NotFoundError: No such project.
        """
        with self._database.write() as session:
            if self._row(session, name) is None:
                raise NotFoundError(_NO_PROJECT)
            set_quota(session, "project", name, quota)
            now = timestamp(self._clock())
            record(session, now, by, "quota-set", project=name, digest=digest_record(quota))

    def get(self, name: str) -> ProjectAnswer:
        """Return a project.

        Raises:
            NotFoundError: No such project.
        """
        with self._database.read() as session:
            return self._answer(session, name)

    def room(self, name: str) -> Room:
        """Return who takes part in a project; nobody if there is none."""
        with self._database.read() as session:
            return room_of(session, name)

    def page(
        self, organisations: Collection[str] | None, *, after: str | None = None, limit: int = 50
    ) -> list[ProjectAnswer]:
        """Return projects by name, of these organisations or, with None, of all.

        Args:
            organisations: Parties.
            after: Only names that sort after this one.
            limit: At most this many.
        """
        wanted = select(ProjectRow.name).order_by(ProjectRow.name).limit(limit)
        if organisations is not None:
            wanted = wanted.where(ProjectRow.name.in_(_of_parties(organisations)))
        if after is not None:
            wanted = wanted.where(ProjectRow.name > after)
        with self._database.read() as session:
            return [self._answer(session, name) for name in session.scalars(wanted)]

    def datasets_open_to(self, organisations: Collection[str]) -> frozenset[str]:
        """Return the names of data sets in open projects of these organisations.

        What a stranger published under a name that a project hoped for is not among them.
        """
        now = self._clock().timestamp()
        with self._database.read() as session:
            return frozenset(
                session.scalars(
                    select(ProjectDatasetRow.dataset)
                    .join(ProjectRow, ProjectRow.name == ProjectDatasetRow.project)
                    .join(DatasetRow, DatasetRow.name == ProjectDatasetRow.dataset)
                    .join(
                        ProjectPartyRow,
                        (ProjectPartyRow.project == ProjectRow.name)
                        & (ProjectPartyRow.organisation == DatasetRow.provider),
                    )
                    .where(is_open(now), ProjectRow.name.in_(_of_parties(organisations)))
                )
            )

    @staticmethod
    def _row(session: Session, name: str) -> ProjectRow | None:
        return session.scalars(
            select(ProjectRow).where(ProjectRow.name == name).with_for_update()
        ).one_or_none()

    def _answer(self, session: Session, name: str) -> ProjectAnswer:
        row = session.scalars(select(ProjectRow).where(ProjectRow.name == name)).one_or_none()
        if row is None:
            raise NotFoundError(_NO_PROJECT)
        parties = session.scalars(
            select(ProjectPartyRow).where(ProjectPartyRow.project == name)
        ).all()
        stopped = None
        if row.stopped_at is not None:
            stopped = StoppedProject(
                by=row.stopped_by or "", at=row.stopped_at, reason=row.stopped_reason or ""
            )
        quota, usage = quota_and_usage(session, "project", name)
        return ProjectAnswer(
            project=read_record(row.project.encode(), Project, what="stored project"),
            digest=row.digest,
            state=_state(row, parties, self._clock().timestamp()),
            proposed_by=row.proposed_by,
            proposed_at=row.proposed_at,
            agreed=tuple(
                sorted(party.organisation for party in parties if party.agreed_at is not None)
            ),
            stopped=stopped,
            quota=quota,
            usage=usage,
        )


def _record(
    session: Session,
    now: str,
    actor: str,
    action: AuditAction,
    project: Project,
    organisation: str,
    digest: str,
) -> None:
    record(
        session,
        now,
        actor,
        action,
        organisation=organisation,
        project=project.name,
        datasets=project.datasets,
        digest=digest,
    )


def _of_parties(organisations: Collection[str]) -> Select[str]:
    party = aliased(ProjectPartyRow)
    return select(party.project).where(party.organisation.in_(list(organisations)))


def _state(row: ProjectRow, parties: Collection[ProjectPartyRow], now: float) -> ProjectState:
    if row.stopped_at is not None:
        return "stopped"
    if row.ends_at <= now:
        return "ended"
    if any(party.agreed_at is None for party in parties):
        return "proposed"
    return "open" if row.starts_at <= now else "agreed"
