"""Accounts and tokens, made by the operator on the machine that holds the database."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from manatee._clock import system_clock
from manatee.records import Role
from manatee.store import open_store


def add_account(home: Path, name: str, roles: tuple[Role, ...], *, life: timedelta) -> str:
    """Add an account and issue a token for it.

    Returns:
        The token: shown once, kept only as a digest.

    Raises:
        ConflictError: The account exists with other roles.
        MalformedError: Not a name, or no role.
    """
    store = open_store(home, clock=system_clock)
    try:
        store.accounts.add(name, roles)
        return store.accounts.issue_token(name, expires_at=system_clock() + life)
    finally:
        store.close()


def trust_approver(home: Path, provider: str, public_key: str) -> None:
    """Let approvals by this key (base64) move the provider's jobs on. Idempotent.

    The control plane only keeps order with it; the key broker holds its own list.

    Raises:
        NotFoundError: No such account.
        MalformedError: Not an Ed25519 public key in base64.
    """
    store = open_store(home, clock=system_clock)
    try:
        store.accounts.add_approval_key(provider, public_key)
    finally:
        store.close()
