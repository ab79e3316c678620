"""Accounts that count: the one place that knows what it means that one is disabled."""

from __future__ import annotations

from sqlalchemy.orm import Session

from manatee.errors import AuthenticationError, NotFoundError
from manatee.store._schema import AccountRow


def known_account(session: Session, name: str) -> AccountRow:
    """Return an account, disabled or not.

    Raises:
        NotFoundError: No such account.
    """
    row = session.get(AccountRow, name)
    if row is None:
        raise NotFoundError(f"there is no account {name!r}.")
    return row


def enabled_account(session: Session, name: str) -> AccountRow:
    """Return an account that may act. Everything that lets somebody act as one asks this.

    Raises:
        NotFoundError: No such account.
        AuthenticationError: It is disabled.
    """
    row = known_account(session, name)
    if row.disabled:
        raise AuthenticationError("this account is disabled.", hint="Ask the operator why.")
    return row
