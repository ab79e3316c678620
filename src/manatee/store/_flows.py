"""Sign-ins under way, and people whom an identity provider knows."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.orm import Session

from manatee._clock import Clock, timestamp
from manatee.errors import AuthenticationError, ConflictError, NotFoundError
from manatee.records import LOCAL_OPERATOR, IssuedToken, Scope
from manatee.rights import ALL_SCOPES
from manatee.store import _tokens
from manatee.store._audit import record
from manatee.store._credentials import SIGN_IN_LIFE, take_invitation
from manatee.store._database import Database
from manatee.store._enabled import enabled_account
from manatee.store._organisations import active_memberships
from manatee.store._records import Account
from manatee.store._schema import AccountRow, FlowRow, LinkRow


class Flows:
    """What was asked of a browser or a provider, until its one answer."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def begin(self, kind: str, value: str, *, life: timedelta, account: str | None = None) -> str:
        """Keep what was asked; returns the handle by which it is taken up again."""
        handle = secrets.token_urlsafe(32)
        now = self._clock()
        with self._database.write() as session:
            session.execute(delete(FlowRow).where(FlowRow.expires_at <= now.timestamp()))
            session.add(
                FlowRow(
                    digest=_tokens.secret_digest(handle),
                    kind=kind,
                    account=account,
                    value=value,
                    expires_at=(now + life).timestamp(),
                )
            )
        return handle

    def take(self, kind: str, handle: str, *, account: str | None = None) -> str:
        """Return what was asked, once: whatever comes of it, the handle is used up.

        Raises:
            AuthenticationError: Unknown, used, expired, of another kind or another person's.
        """
        with self._database.write() as session:
            row = session.get(FlowRow, _tokens.secret_digest(handle))
            if row is None:
                raise _over()
            value, counts = row.value, self._counts(row, kind, account)
            session.delete(row)
        if not counts:
            raise _over()
        return value

    def look(self, kind: str, handle: str) -> str:
        """Return what was asked and leave it, for what is asked again and again.

        Raises:
            AuthenticationError: As `take`.
        """
        with self._database.read() as session:
            row = session.get(FlowRow, _tokens.secret_digest(handle))
            if row is None or not self._counts(row, kind, None):
                raise _over()
            return row.value

    def _counts(self, row: FlowRow, kind: str, account: str | None) -> bool:
        fits = row.kind == kind and row.account == account
        return fits and row.expires_at > self._clock().timestamp()


class Links:
    """Whose account a subject of an identity provider is: only by both, never by an address."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def link(self, name: str, issuer: str, subject: str, *, by: str = LOCAL_OPERATOR) -> None:
        """Let a subject sign in as an account. Idempotent.

        Raises:
            NotFoundError: No such account.
            ConflictError: The subject signs in as another account.
        """
        with self._database.write() as session:
            if session.get(AccountRow, name) is None:
                raise NotFoundError(f"there is no account {name!r}.")
            self._link(session, name, issuer, subject, by)

    def account(
        self, issuer: str, subject: str, *, expires_at: datetime, scopes: frozenset[Scope]
    ) -> Account:
        """Return the account that a subject is linked with, for no more than these scopes.

        Raises:
            AuthenticationError: No account is, or it is disabled.
        """
        with self._database.read() as session:
            row = session.get(LinkRow, (issuer, subject))
            if row is None:
                raise AuthenticationError(
                    "no account is linked with this person.", hint="Ask the operator to link yours."
                )
            enabled_account(session, row.account)
            memberships = active_memberships(session, row.account, self._clock().timestamp())
            return Account(row.account, memberships, expires_at, scopes)

    def unlink(self, name: str, *, by: str = LOCAL_OPERATOR) -> None:
        """Let no subject sign in as the account any more, and end its tokens."""
        with self._database.write() as session:
            session.execute(delete(LinkRow).where(LinkRow.account == name))
            _tokens.revoke_all(session, name)
            now = timestamp(self._clock())
            record(session, now, by, "credential-removed", outcome="provider", person=name)

    def sign_in(
        self,
        issuer: str,
        subject: str,
        *,
        name: str | None = None,
        invitation: str = "",
        scopes: Collection[Scope] = ALL_SCOPES,
    ) -> IssuedToken:
        """Return a token for whom the provider knows; an invitation links the account first.

        Raises:
            AuthenticationError: No account is linked, or the invitation does not count.
            ConflictError: The subject signs in as another account already.
        """
        now = self._clock()
        with self._database.write() as session:
            if name is not None and invitation:
                take_invitation(session, name, invitation, now.timestamp())
                self._link(session, name, issuer, subject, name)
            row = session.get(LinkRow, (issuer, subject))
            if row is None:
                raise AuthenticationError(
                    "no account is linked with this person of the identity provider.",
                    hint="Ask the operator for an invitation and give it when you sign in.",
                )
            made = _tokens.issue(
                session,
                row.account,
                label="signed in at the identity provider",
                scopes=scopes,
                now=now,
                expires_at=now + SIGN_IN_LIFE,
                by=row.account,
                proved_with="provider",
            )
        return made

    def _link(self, session: Session, name: str, issuer: str, subject: str, by: str) -> None:
        row = session.get(LinkRow, (issuer, subject))
        if row is not None and row.account != name:
            raise ConflictError("this person of the identity provider has another account.")
        if row is None:
            session.add(LinkRow(issuer=issuer, subject=subject, account=name))
            now = timestamp(self._clock())
            record(session, now, by, "credential-set", outcome="provider", person=name)


def _over() -> AuthenticationError:
    return AuthenticationError("this sign-in is over, or was never begun.", hint="Begin again.")
