"""Accounts, their API tokens, and the approval keys of providers."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable
from datetime import UTC, datetime

from sqlalchemy import select, update

from manatee._clock import Clock, timestamp
from manatee.errors import (
    AuthenticationError,
    ConflictError,
    MalformedError,
    NotFoundError,
    StoreError,
)
from manatee.records import (
    LOCAL_OPERATOR,
    AuditAction,
    Caller,
    IssuedToken,
    Membership,
    Role,
    Scope,
    TokenEntry,
    digest_bytes,
    to_record,
    unbase64,
)
from manatee.rights import ALL_SCOPES
from manatee.store import _tokens
from manatee.store._audit import record
from manatee.store._database import Database
from manatee.store._enabled import enabled_account, known_account
from manatee.store._organisations import active_memberships, add_organisation
from manatee.store._records import Account
from manatee.store._schema import (
    AccountRow,
    ApprovalKeyRow,
    MembershipRow,
    OrganisationRow,
    TokenRow,
)


class Accounts:
    """Who may call, and as what."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(
        self,
        name: str,
        roles: Iterable[Role],
        *,
        organisation: str = "",
        by: str = LOCAL_OPERATOR,
    ) -> Account:
        """Add a person with these roles in an organisation, or find them there.

        Args:
            name: Of the account.
            roles: What the person is in the organisation, until that is ended.
            organisation: Is added if it is not there; "" for one of the person's own name.
            by: Who adds it, for the audit trail.

        Raises:
            MalformedError: Not a name, or not roles.
            ConflictError: The account exists with other roles there, or in another organisation.
        """
        moment = self._clock()
        now, home = timestamp(moment), organisation or name
        wanted = sorted(set(roles))
        checked = to_record({"name": name, "roles": wanted, "expires_at": now}, Caller, what="name")
        if not checked.roles:
            raise MalformedError("an account needs at least one role.")
        to_record({"organisation": home, "role": wanted[0]}, Membership, what="organisation")
        with self._database.write() as session:
            row = session.get(AccountRow, name)
            if row is None:
                add_organisation(session, home, now, by)
                session.add(AccountRow(name=name, organisation=home, created_at=now))
                record(session, now, by, "account-added", organisation=home, person=name)
                for role in sorted(checked.roles):
                    session.add(MembershipRow(account=name, organisation=home, role=role))
                    record(
                        session,
                        now,
                        by,
                        "member-set",
                        outcome=role,
                        organisation=home,
                        person=name,
                    )
            memberships = active_memberships(session, name, moment.timestamp())
            there = sorted(item.role for item in memberships if item.organisation == home)
            if there != wanted:
                raise ConflictError(f"the account {name!r} exists with other roles.")
        return Account(name, memberships)

    def issue_token(
        self,
        name: str,
        *,
        expires_at: datetime,
        scopes: Collection[Scope] = ALL_SCOPES,
        label: str = "issued by the operator",
        by: str = LOCAL_OPERATOR,
    ) -> str:
        """Make a token for an account. It is returned once and kept only as a digest.

        Raises:
            NotFoundError: No such account.
            MalformedError: No scope, or an end that is past or too far away.
        """
        return self.new_token(name, expires_at=expires_at, scopes=scopes, label=label, by=by).token

    def new_token(
        self, name: str, *, expires_at: datetime, scopes: Collection[Scope], label: str, by: str
    ) -> IssuedToken:
        """Make a token, as `issue_token` does, and say how it is listed."""
        now = self._clock()
        with self._database.write() as session:
            return _tokens.issue(
                session, name, label=label, scopes=scopes, now=now, expires_at=expires_at, by=by
            )

    def tokens(self, name: str) -> tuple[TokenEntry, ...]:
        """Return an account's tokens that have not expired, without the tokens."""
        with self._database.read() as session:
            return _tokens.entries(session, name, self._clock())

    def revoke_token(self, name: str, token_id: str, *, by: str) -> None:
        """Make one token of an account worthless at once.

        Raises:
            NotFoundError: The account has no such token.
        """
        with self._database.write() as session:
            digest = _tokens.revoke(session, name, token_id)
            now = timestamp(self._clock())
            record(session, now, by, "tokens-revoked", person=name, digest=digest)

    def revoke_tokens(self, name: str, *, by: str = LOCAL_OPERATOR) -> None:
        """Make all tokens of an account worthless at once."""
        with self._database.write() as session:
            _tokens.revoke_all(session, name)
            record(session, timestamp(self._clock()), by, "tokens-revoked", person=name)

    def authenticate(self, token: str) -> Account:
        """Return whose token this is, and what it is for.

        Raises:
            AuthenticationError: Unknown or expired, which are not told apart; or the account is
                disabled.
        """
        now = self._clock()
        digest = _tokens.secret_digest(token)
        with self._database.read() as session:
            found = session.get(TokenRow, digest)
            if found is None or found.expires_at <= now.timestamp():
                raise AuthenticationError(
                    "the token is unknown or expired.",
                    hint="Sign in again, or ask the operator for a new one.",
                )
            enabled_account(session, found.account)
            used_before = found.last_used_on
            account = Account(
                found.account,
                active_memberships(session, found.account, now.timestamp()),
                datetime.fromtimestamp(found.expires_at, UTC),
                _tokens.scopes_of(found),
            )
        today = timestamp(now)[:10]
        if used_before != today:
            # to say when it was used last: a full disk must not keep people out
            with contextlib.suppress(StoreError), self._database.write() as session:
                session.execute(
                    update(TokenRow).where(TokenRow.digest == digest).values(last_used_on=today)
                )
        return account

    def disable(self, name: str, *, by: str = LOCAL_OPERATOR) -> None:
        """Let nobody act as the account any more, and end its tokens. Idempotent.

        Raises:
            NotFoundError: No such account.
        """
        self._set_disabled(name, True, by)

    def enable(self, name: str, *, by: str = LOCAL_OPERATOR) -> None:
        """Let the account's owner sign in again; tokens of before stay ended. Idempotent.

        Raises:
            NotFoundError: No such account.
        """
        self._set_disabled(name, False, by)

    def _set_disabled(self, name: str, disabled: bool, by: str) -> None:
        with self._database.write() as session:
            row = known_account(session, name)
            if row.disabled is disabled:
                return
            row.disabled = disabled
            _tokens.revoke_all(session, name)
            action: AuditAction = "account-disabled" if disabled else "account-enabled"
            record(session, timestamp(self._clock()), by, action, person=name)

    def require(self, name: str) -> None:
        """Check that there is such an account. Raises NotFoundError."""
        with self._database.read() as session:
            known_account(session, name)

    def states(self) -> list[tuple[str, str, bool]]:
        """Return all accounts by name: name, home organisation, whether it is disabled."""
        with self._database.read() as session:
            rows = session.scalars(select(AccountRow).order_by(AccountRow.name))
            return [(row.name, row.organisation, row.disabled) for row in rows]

    def add_approval_key(self, provider: str, public_key: str, *, by: str = LOCAL_OPERATOR) -> None:
        """Let approvals by this key count for a provider here. Idempotent.

        Args:
            provider: An organisation.
            public_key: Raw Ed25519 public key in base64.
            by: Who adds it, for the audit trail.

        Raises:
            MalformedError: Not such a key.
            NotFoundError: No such organisation.
        """
        if len(unbase64(public_key)) != 32:
            raise MalformedError("an Ed25519 public key has 32 bytes.")
        with self._database.write() as session:
            if session.get(OrganisationRow, provider) is None:
                raise NotFoundError(f"there is no organisation {provider!r}.")
            if session.get(ApprovalKeyRow, (provider, public_key)) is not None:
                return
            session.add(ApprovalKeyRow(provider=provider, public_key=public_key))
            record(
                session,
                timestamp(self._clock()),
                by,
                "approver-added",
                organisation=provider,
                digest=digest_bytes(unbase64(public_key)),
            )

    def approval_keys(self, provider: str) -> frozenset[str]:
        """Return the provider's approval keys; empty means that nobody's approval counts."""
        with self._database.read() as session:
            return frozenset(
                session.scalars(
                    select(ApprovalKeyRow.public_key).where(ApprovalKeyRow.provider == provider)
                )
            )
