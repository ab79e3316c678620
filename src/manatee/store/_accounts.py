"""Accounts, their API tokens, and the approval keys of providers."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import cast

from sqlalchemy import delete, select

from manatee._clock import Clock, timestamp
from manatee.errors import AuthenticationError, ConflictError, MalformedError, NotFoundError
from manatee.records import Caller, Role, to_record, unbase64
from manatee.store._database import Database
from manatee.store._records import Account
from manatee.store._schema import AccountRow, ApprovalKeyRow, TokenRow

TOKEN_BYTES = 32
"""Randomness of a token, in bytes."""

TOKEN_PREFIX = "mnt_"  # noqa: S105  # not a secret: lets scanners find leaked tokens


def _token_digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class Accounts:
    """Who may call, and as what."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(self, name: str, roles: Iterable[Role]) -> Account:
        """Add an account, or find it there with the same roles.

        Raises:
            MalformedError: Not a name, or not roles.
            ConflictError: The account exists with other roles.
        """
        now = timestamp(self._clock())
        wanted = sorted(set(roles))
        checked = to_record({"name": name, "roles": wanted, "expires_at": now}, Caller, what="name")
        if not checked.roles:
            raise MalformedError("an account needs at least one role.")
        account = Account(name, frozenset(checked.roles))
        with self._database.write() as session:
            row = session.get(AccountRow, name)
            if row is None:
                session.add(AccountRow(name=name, roles=",".join(wanted), created_at=now))
            elif row.roles != ",".join(wanted):
                raise ConflictError(f"the account {name!r} exists with other roles.")
        return account

    def issue_token(self, name: str, *, expires_at: datetime) -> str:
        """Make a token for an account. It is returned once and kept only as a digest.

        Raises:
            NotFoundError: No such account.
        """
        token = TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
        with self._database.write() as session:
            if session.get(AccountRow, name) is None:
                raise NotFoundError(f"there is no account {name!r}.")
            session.add(
                TokenRow(
                    digest=_token_digest(token), account=name, expires_at=expires_at.timestamp()
                )
            )
        return token

    def revoke_tokens(self, name: str) -> None:
        """Make all tokens of an account worthless at once."""
        with self._database.write() as session:
            session.execute(delete(TokenRow).where(TokenRow.account == name))

    def authenticate(self, token: str) -> Account:
        """Return whose token this is.

        Raises:
            AuthenticationError: Unknown or expired; the two are not told apart.
        """
        with self._database.read() as session:
            found = session.execute(
                select(AccountRow, TokenRow.expires_at)
                .join(TokenRow, TokenRow.account == AccountRow.name)
                .where(TokenRow.digest == _token_digest(token))
            ).one_or_none()
            if found is None or found[1] <= self._clock().timestamp():
                raise AuthenticationError(
                    "the token is unknown or expired.", hint="Ask the operator for a new one."
                )
            roles = frozenset(cast(list[Role], found[0].roles.split(",")))
            return Account(found[0].name, roles, datetime.fromtimestamp(found[1], UTC))

    def add_approval_key(self, provider: str, public_key: str) -> None:
        """Let approvals by this key count for a provider here. Idempotent.

        Args:
            provider: An account.
            public_key: Raw Ed25519 public key in base64.

        Raises:
            MalformedError: Not such a key.
            NotFoundError: No such account.
        """
        if len(unbase64(public_key)) != 32:
            raise MalformedError("an Ed25519 public key has 32 bytes.")
        with self._database.write() as session:
            if session.get(AccountRow, provider) is None:
                raise NotFoundError(f"there is no account {provider!r}.")
            session.merge(ApprovalKeyRow(provider=provider, public_key=public_key))

    def approval_keys(self, provider: str) -> frozenset[str]:
        """Return the provider's approval keys; empty means that nobody's approval counts."""
        with self._database.read() as session:
            return frozenset(
                session.scalars(
                    select(ApprovalKeyRow.public_key).where(ApprovalKeyRow.provider == provider)
                )
            )
