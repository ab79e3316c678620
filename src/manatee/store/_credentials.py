"""Passwords with a second factor, and the invitations by which people set them up.

Whatever is wrong about an attempt, it costs the same work and gets the same answer.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import delete
from sqlalchemy.orm import Session

from manatee._clock import Clock, timestamp
from manatee.errors import AuthenticationError, NotFoundError
from manatee.identity import (
    check_new_password,
    hash_password,
    needs_rehash,
    new_recovery_codes,
    new_totp_secret,
    password_matches,
    totp_qr,
    totp_step,
    totp_uri,
)
from manatee.records import LOCAL_OPERATOR, IssuedToken, Scope, SecondFactor, digest_bytes
from manatee.rights import ALL_SCOPES
from manatee.store import _tokens
from manatee.store._audit import record
from manatee.store._database import Database
from manatee.store._schema import AccountRow, InvitationRow, PasswordRow, RecoveryCodeRow
from manatee.store._throttle import remember_address, take_attempt

INVITATION_LIFE = timedelta(hours=24)
SIGN_IN_LIFE = timedelta(hours=12)
"""How long the token of a sign-in lives."""

_NOBODYS_SECRET = "A" * 32


def refused() -> AuthenticationError:
    """Return the one answer to every attempt that fails."""
    return AuthenticationError(
        "you could not be signed in.",
        hint="Check the name, the password and the code; a code counts once.",
    )


def take_invitation(session: Session, name: str, invitation: str, now: float) -> None:
    """Use up an account's invitation.

    Raises:
        AuthenticationError: It has none, or another one, or an expired one.
    """
    row = session.get(InvitationRow, name)
    kept = row.digest if row is not None and row.expires_at > now else ""
    if not hmac.compare_digest(kept, _tokens.secret_digest(invitation)):
        raise AuthenticationError(
            "the invitation is unknown, used or expired.", hint="Ask the operator for a new one."
        )
    session.delete(row)


class Credentials:
    """What people sign in with, other than passkeys and identity providers."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def invite(self, name: str, *, by: str = LOCAL_OPERATOR) -> str:
        """Make a code by which the account's owner sets up signing in; it ends one made before.

        Raises:
            NotFoundError: No such account.
        """
        now = self._clock()
        code = secrets.token_urlsafe(20)
        with self._database.write() as session:
            if session.get(AccountRow, name) is None:
                raise NotFoundError(f"there is no account {name!r}.")
            row = session.merge(
                InvitationRow(
                    account=name,
                    digest=_tokens.secret_digest(code),
                    expires_at=(now + INVITATION_LIFE).timestamp(),
                )
            )
            digest = invitation_digest(row)
            record(session, timestamp(now), by, "account-invited", person=name, digest=digest)
        return code

    def attempt(self, address: str, name: str | None = None) -> None:
        """Count an attempt to prove who one is, before any work is done for it.

        Raises:
            TooManyAttemptsError: Not now.
        """
        with self._database.write() as session:
            take_attempt(session, self._clock().timestamp(), address=address, name=name)

    def redeem(self, name: str, invitation: str, password: str, *, address: str) -> SecondFactor:
        """Take up an invitation: a new password and second factor; what was before is worthless.

        Raises:
            TooManyAttemptsError: Not now.
            MalformedError: The password is too easily guessed; the invitation still counts.
            AuthenticationError: The invitation does not count.
        """
        self.attempt(address, name)
        check_new_password(name, password)
        kept, secret, codes = hash_password(password), new_totp_secret(), new_recovery_codes()
        now = self._clock()
        with self._database.write() as session:
            take_invitation(session, name, invitation, now.timestamp())
            _tokens.revoke_all(session, name)
            session.execute(delete(RecoveryCodeRow).where(RecoveryCodeRow.account == name))
            row = session.merge(
                PasswordRow(account=name, password_hash=kept, totp_secret=secret, last_totp_step=-1)
            )
            for code in codes:
                session.add(RecoveryCodeRow(account=name, digest=_tokens.secret_digest(code)))
            _record(session, timestamp(now), "password", row)
        uri = totp_uri(secret, name)
        return SecondFactor(totp_uri=uri, totp_qr=totp_qr(uri), recovery_codes=codes)

    def sign_in(
        self,
        name: str,
        password: str,
        code: str,
        *,
        address: str,
        scopes: Collection[Scope] = (),
    ) -> IssuedToken:
        """Return a token for the right password and a code that was not used before.

        Raises:
            TooManyAttemptsError: Not now.
            AuthenticationError: Anything is wrong; what, is not told.
        """
        self.attempt(address, name)
        with self._database.read() as session:
            row = session.get(PasswordRow, name)
            kept = row.password_hash if row else None
        matches = password_matches(password, kept)
        renewed = hash_password(password) if matches and kept and needs_rehash(kept) else kept
        now = self._clock()
        with self._database.write() as session:
            row = session.get(PasswordRow, name)
            same = row is not None and row.password_hash == kept
            spent = session.get(RecoveryCodeRow, (name, _tokens.secret_digest(code.lower())))
            step = totp_step(
                row.totp_secret if row else _NOBODYS_SECRET,
                code,
                now,
                used=row.last_totp_step if row else -1,
            )
            if row is None or not (matches and same) or (step is None and spent is None):
                raise refused()
            if step is not None:
                row.last_totp_step = step
            elif spent is not None:
                session.delete(spent)
            if renewed and renewed != row.password_hash:
                row.password_hash = renewed
                _record(session, timestamp(now), "password-rehashed", row)
            remember_address(session, now.timestamp(), account=name, address=address)
            made = _tokens.issue(
                session,
                name,
                label="signed in with a password",
                scopes=scopes or ALL_SCOPES,
                now=now,
                expires_at=now + SIGN_IN_LIFE,
                by=name,
                proved_with="password",
            )
        return made


def invitation_digest(row: InvitationRow) -> str:
    """Return what the audit trail holds of an invitation."""
    return digest_bytes(f"{row.digest} {round(row.expires_at * 1000)}".encode())


def password_digest(row: PasswordRow) -> str:
    """Return what the audit trail holds of a password: salt and secret keep it from guessing."""
    return digest_bytes(f"{row.account} {row.password_hash} {row.totp_secret}".encode())


def _record(session: Session, now: str, outcome: str, row: PasswordRow) -> None:
    record(
        session,
        now,
        row.account,
        "credential-set",
        outcome=outcome,
        person=row.account,
        digest=password_digest(row),
    )
