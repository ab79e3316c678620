"""Passkeys of accounts, and the tokens they give."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import select

from manatee._clock import Clock, timestamp
from manatee.errors import ConflictError, NotFoundError
from manatee.identity import Passkey, passkey_refused
from manatee.records import IssuedToken, PasskeyEntry, digest_bytes
from manatee.rights import ALL_SCOPES
from manatee.store import _tokens
from manatee.store._audit import record
from manatee.store._credentials import SIGN_IN_LIFE
from manatee.store._database import Database
from manatee.store._moments import moment_of
from manatee.store._schema import PasskeyRow


class Passkeys:
    """The public halves; the private ones never left people's devices."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(self, account: str, passkey: Passkey, *, label: str) -> PasskeyEntry:
        """Keep a passkey that an account's owner has made.

        Raises:
            ConflictError: It is there.
        """
        now = self._clock()
        with self._database.write() as session:
            if session.get(PasskeyRow, passkey.id) is not None:
                raise ConflictError("this passkey is known.")
            row = PasskeyRow(
                id=passkey.id,
                account=account,
                public_key=passkey.public_key,
                sign_count=passkey.sign_count,
                label=label,
                created_at=now.timestamp(),
            )
            session.add(row)
            record(
                session,
                timestamp(now),
                account,
                "credential-set",
                outcome="passkey",
                person=account,
                digest=passkey_digest(row),
            )
        return PasskeyEntry(id=passkey.id, label=label, created_at=timestamp(now))

    def of(self, account: str) -> tuple[PasskeyEntry, ...]:
        """Return an account's passkeys, oldest first."""
        with self._database.read() as session:
            rows = session.scalars(
                select(PasskeyRow)
                .where(PasskeyRow.account == account)
                .order_by(PasskeyRow.created_at, PasskeyRow.id)
            )
            return tuple(
                PasskeyEntry(id=row.id, label=row.label, created_at=moment_of(row.created_at))
                for row in rows
            )

    def remove(self, account: str, passkey_id: str) -> None:
        """Let a passkey of an account sign nobody in any more.

        Raises:
            NotFoundError: The account has no such passkey.
        """
        with self._database.write() as session:
            row = session.get(PasskeyRow, passkey_id)
            if row is None or row.account != account:
                raise NotFoundError("you have no such passkey.")
            session.delete(row)
            now = timestamp(self._clock())
            record(
                session,
                now,
                account,
                "credential-removed",
                outcome="passkey",
                person=account,
                digest=passkey_digest(row),
            )

    def sign_in(self, passkey_id: str, check: Callable[[Passkey], int]) -> IssuedToken:
        """Return a token for whoever holds the passkey.

        Args:
            passkey_id: As the answer names it.
            check: Checks the answer with that passkey, and returns the new sign count.

        Raises:
            AuthenticationError: Nobody has the passkey, or the answer does not count.
        """
        now = self._clock()
        with self._database.write() as session:  # one at a time: a count is never gone back on
            row = session.get(PasskeyRow, passkey_id)
            if row is None:
                raise passkey_refused()
            row.sign_count = check(Passkey(row.id, row.public_key, row.sign_count))
            made = _tokens.issue(
                session,
                row.account,
                label="signed in with a passkey",
                scopes=ALL_SCOPES,
                now=now,
                expires_at=now + SIGN_IN_LIFE,
                by=row.account,
                proved_with="passkey",
            )
        return made


def passkey_digest(row: PasskeyRow) -> str:
    """Return what the audit trail holds of a passkey: whose it is, and its public half."""
    return digest_bytes(f"{row.account} {row.id} {row.public_key.hex()}".encode())
