"""Accounts and tokens, made by the operator on the machine that holds the database."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from manatee._clock import system_clock
from manatee.errors import SettingsError
from manatee.records import Role, Scope
from manatee.rights import ALL_SCOPES
from manatee.settings import Settings
from manatee.store import open_store


def add_account(
    home: Path,
    name: str,
    roles: tuple[Role, ...],
    *,
    life: timedelta,
    organisation: str = "",
    scopes: tuple[Scope, ...] = (),
    database_url: str = "",
) -> str:
    """Add an account, a member of an organisation or of one of its own name, and issue a token.

    The token is for all scopes if none is named.

    Returns:
        The token: shown once, kept only as a digest.

    Raises:
        ConflictError: The account exists with other roles.
        MalformedError: Not a name, or no role.
    """
    store = open_store(home, clock=system_clock, database_url=database_url)
    try:
        store.accounts.add(name, roles, organisation=organisation)
        return store.accounts.issue_token(
            name, expires_at=system_clock() + life, scopes=scopes or ALL_SCOPES
        )
    finally:
        store.close()


def trust_approver(home: Path, provider: str, public_key: str, *, database_url: str = "") -> None:
    """Let approvals by this key (base64) move the provider's jobs on. Idempotent.

    The control plane only keeps order with it; the key broker holds its own list.

    Raises:
        NotFoundError: No such organisation.
        MalformedError: Not an Ed25519 public key in base64.
    """
    store = open_store(home, clock=system_clock, database_url=database_url)
    try:
        store.accounts.add_approval_key(provider, public_key)
    finally:
        store.close()


def link_hub_user(settings: Settings, account: str, hub_user: str) -> None:
    """Let a user of the settings' JupyterHub act as an account. Idempotent.

    Raises:
        SettingsError: The settings name no hub.
        NotFoundError: No such account.
        ConflictError: That user acts as another account.
    """
    if not settings.hub_api_url:
        raise SettingsError("MANATEE_HUB_API_URL is not set.", hint="Set it as for the service.")
    store = open_store(settings.home, clock=system_clock, database_url=settings.database_url)
    try:
        store.links.link(account, settings.hub_api_url.rstrip("/"), hub_user)
    finally:
        store.close()


def invite(home: Path, name: str, *, database_url: str = "") -> str:
    """Return a code by which the account's owner sets up signing in; kept only as a digest.

    Raises:
        NotFoundError: No such account.
    """
    store = open_store(home, clock=system_clock, database_url=database_url)
    try:
        return store.credentials.invite(name)
    finally:
        store.close()
