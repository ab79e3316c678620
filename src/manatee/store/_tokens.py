"""API tokens inside a transaction: made, listed, used and revoked."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from manatee._clock import timestamp
from manatee.errors import MalformedError, NotFoundError
from manatee.records import IssuedToken, Scope, TokenEntry, digest_bytes
from manatee.store._audit import record
from manatee.store._enabled import enabled_account
from manatee.store._moments import moment_of
from manatee.store._schema import TokenRow

TOKEN_BYTES = 32
"""Randomness of a token, in bytes."""

TOKEN_PREFIX = "mnt_"  # noqa: S105  # not a secret: lets scanners find leaked tokens

MAX_TOKEN_LIFE = timedelta(days=366)


def secret_digest(secret: str) -> str:
    """Return what is kept of a secret that has too much randomness to be guessed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def issue(
    session: Session,
    account: str,
    *,
    label: str,
    scopes: Collection[Scope],
    now: datetime,
    expires_at: datetime,
    by: str,
    proved_with: str = "",
) -> IssuedToken:
    """Make a token, and write who did into the audit trail.

    Args:
        session: The transaction.
        account: Whose.
        label: For its owner to know it by.
        scopes: What it is for.
        now: The time.
        expires_at: From when it is worthless.
        by: Who makes it.
        proved_with: How the owner showed who she is, for the trail; "" where another makes it.

    Raises:
        NotFoundError: No such account.
        AuthenticationError: It is disabled.
        MalformedError: No scope, or an end that is past or too far away.
    """
    enabled_account(session, account)
    if not scopes:
        raise MalformedError("a token needs at least one scope.")
    if not now < expires_at <= now + MAX_TOKEN_LIFE:
        raise MalformedError(
            f"a token must expire within {MAX_TOKEN_LIFE.days} days, and not in the past."
        )
    token = TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    row = TokenRow(
        digest=secret_digest(token),
        id=secrets.token_hex(8),
        account=account,
        label=label,
        scopes=" ".join(sorted(set(scopes))),
        created_at=now.timestamp(),
        expires_at=expires_at.timestamp(),
        last_used_on=None,
    )
    session.add(row)
    session.flush()
    record(
        session,
        timestamp(now),
        by,
        "token-issued",
        outcome=proved_with,
        person=account,
        digest=issued_digest(row),
    )
    return IssuedToken(token=token, entry=entry_of(row))


def issued_digest(row: TokenRow) -> str:
    """Return what the audit trail holds of a token: whose it is, what for, and until when."""
    until = round(row.expires_at * 1000)
    return digest_bytes(f"{row.digest} {row.account} {row.scopes} {until}".encode())


def scopes_of(row: TokenRow) -> frozenset[Scope]:
    """Return what a token is for."""
    return frozenset(cast("list[Scope]", row.scopes.split()))


def entry_of(row: TokenRow) -> TokenEntry:
    """Return a token as its owner sees it."""
    return TokenEntry(
        id=row.id,
        label=row.label,
        scopes=tuple(sorted(scopes_of(row))),
        created_at=moment_of(row.created_at),
        expires_at=moment_of(row.expires_at),
        last_used_on=row.last_used_on,
    )


def entries(session: Session, account: str, now: datetime) -> tuple[TokenEntry, ...]:
    """Return an account's tokens that have not expired, oldest first."""
    rows = session.scalars(
        select(TokenRow)
        .where(TokenRow.account == account, TokenRow.expires_at > now.timestamp())
        .order_by(TokenRow.created_at, TokenRow.id)
    )
    return tuple(entry_of(row) for row in rows)


def revoke(session: Session, account: str, token_id: str) -> str:
    """Make one token of an account worthless; returns its `issued_digest`.

    Raises:
        NotFoundError: The account has no such token.
    """
    row = session.scalar(
        select(TokenRow).where(TokenRow.account == account, TokenRow.id == token_id)
    )
    if row is None:
        raise NotFoundError("you have no such token.", hint="`manatee token list` shows yours.")
    session.delete(row)
    return issued_digest(row)


def revoke_all(session: Session, account: str) -> None:
    """Make every token of an account worthless."""
    session.execute(delete(TokenRow).where(TokenRow.account == account))
