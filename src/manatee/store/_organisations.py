"""Organisations and the people in them. A membership lapses by itself when its time is up."""

from __future__ import annotations

from typing import cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from manatee._clock import Clock, timestamp
from manatee.errors import MalformedError, NotFoundError
from manatee.records import (
    LOCAL_OPERATOR,
    Member,
    Membership,
    OrganisationAnswer,
    Quota,
    Role,
    digest_record,
    to_record,
)
from manatee.store._allowances import quota_and_usage, set_quota
from manatee.store._audit import record
from manatee.store._database import Database
from manatee.store._moments import moment_of, seconds_of
from manatee.store._schema import AccountRow, MembershipRow, OrganisationRow


def add_organisation(session: Session, name: str, now: str, by: str) -> None:
    """Add an organisation if it is not there."""
    if session.get(OrganisationRow, name) is None:
        session.add(OrganisationRow(name=name, created_at=now))
        record(session, now, by, "organisation-added", organisation=name)


def active_memberships(session: Session, account: str, now: float) -> tuple[Membership, ...]:
    """Return what a person is now, sorted."""
    rows = session.scalars(
        select(MembershipRow)
        .where(
            MembershipRow.account == account,
            MembershipRow.expires_at.is_(None) | (MembershipRow.expires_at > now),
        )
        .order_by(MembershipRow.organisation, MembershipRow.role)
    )
    return tuple(
        Membership(
            organisation=row.organisation,
            role=cast(Role, row.role),
            expires_at=None if row.expires_at is None else moment_of(row.expires_at),
        )
        for row in rows
    )


class Organisations:
    """Who belongs where, as what, and until when."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(self, name: str, *, by: str = LOCAL_OPERATOR) -> None:
        """Add an organisation. Idempotent.

        Raises:
            MalformedError: Not a name.
        """
        to_record({"organisation": name, "role": "auditor"}, Membership, what="organisation")
        with self._database.write() as session:
            add_organisation(session, name, timestamp(self._clock()), by)

    def set_member(
        self,
        organisation: str,
        account: str,
        role: Role,
        *,
        expires_at: str | None = None,
        by: str = LOCAL_OPERATOR,
    ) -> None:
        """Make somebody a member, or change when that ends. Idempotent.

        Args:
            organisation: Which.
            account: Who.
            role: As what.
            expires_at: A time in UTC from which it no longer counts; None: until it is ended.
            by: Who does it, for the audit trail.

        Raises:
            NotFoundError: No such organisation or account.
            MalformedError: Not a role, or a time that has passed.
        """
        checked = to_record(
            {"organisation": organisation, "role": role, "expires_at": expires_at},
            Membership,
            what="membership",
        )
        until = None if expires_at is None else seconds_of(expires_at)
        if until is not None and until <= self._clock().timestamp():
            raise MalformedError("expires_at has passed.", hint="End the membership instead.")
        with self._database.write() as session:
            self._require(session, organisation)
            if session.get(AccountRow, account) is None:
                raise NotFoundError(f"there is no account {account!r}.")
            session.merge(
                MembershipRow(
                    account=account,
                    organisation=organisation,
                    role=checked.role,
                    expires_at=until,
                )
            )
            record(
                session,
                timestamp(self._clock()),
                by,
                "member-set",
                outcome=f"{role} until {expires_at}" if expires_at else role,
                organisation=organisation,
                person=account,
            )

    def end_member(
        self, organisation: str, account: str, role: str, *, by: str = LOCAL_OPERATOR
    ) -> None:
        """End a membership at once.

        Raises:
            NotFoundError: There is none.
        """
        with self._database.write() as session:
            row = session.get(MembershipRow, (account, organisation, role))
            if row is None:
                raise NotFoundError("there is no such membership.")
            session.delete(row)
            record(
                session,
                timestamp(self._clock()),
                by,
                "member-ended",
                outcome=role,
                organisation=organisation,
                person=account,
            )

    def get(self, name: str) -> OrganisationAnswer:
        """Return an organisation with the people who are in it now.

        Raises:
            NotFoundError: No such organisation.
        """
        now = self._clock().timestamp()
        with self._database.read() as session:
            self._require(session, name)
            rows = session.scalars(
                select(MembershipRow)
                .where(
                    MembershipRow.organisation == name,
                    MembershipRow.expires_at.is_(None) | (MembershipRow.expires_at > now),
                )
                .order_by(MembershipRow.account, MembershipRow.role)
            )
            members = tuple(
                Member(
                    account=row.account,
                    role=cast(Role, row.role),
                    expires_at=None if row.expires_at is None else moment_of(row.expires_at),
                )
                for row in rows
            )
            quota, usage = quota_and_usage(session, "organisation", name)
        return OrganisationAnswer(name=name, members=members, quota=quota, usage=usage)

    def names(self) -> list[str]:
        """Return all organisations' names, sorted."""
        with self._database.read() as session:
            return list(
                session.scalars(select(OrganisationRow.name).order_by(OrganisationRow.name))
            )

    def set_quota(self, name: str, quota: Quota, *, by: str = LOCAL_OPERATOR) -> None:
        """Set an organisation's limits.

        Raises:
            NotFoundError: No such organisation.
        """
        with self._database.write() as session:
            self._require(session, name)
            set_quota(session, "organisation", name, quota)
            record(
                session,
                timestamp(self._clock()),
                by,
                "quota-set",
                organisation=name,
                digest=digest_record(quota),
            )

    @staticmethod
    def _require(session: Session, name: str) -> None:
        if session.get(OrganisationRow, name) is None:
            raise NotFoundError("there is no such organisation.")
