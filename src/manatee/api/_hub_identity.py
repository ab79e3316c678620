"""People who come with a token of a JupyterHub.

The operator says which of the hub's users has which account (`manatee admin link-hub-user`): a name
that somebody chose at the hub means nothing here. Such a token lies in a user's server, where
notebooks can read it: it is for looking and for submitting, whatever else the account may do.
"""

from __future__ import annotations

import httpx

from manatee._clock import Clock
from manatee.errors import SettingsError
from manatee.identity import Hub
from manatee.records import Scope
from manatee.settings import Settings
from manatee.store import TOKEN_PREFIX, Account, Store

HUB_SCOPES: frozenset[Scope] = frozenset({"read", "submit"})

TIMEOUT_SECONDS = 10.0


def hub_of(settings: Settings, clock: Clock) -> Hub | None:
    """Return the hub of the settings; None if they name none.

    Raises:
        SettingsError: It cannot be asked safely.
    """
    if not settings.hub_api_url:
        return None
    if not settings.hub_service:
        raise SettingsError("hub_api_url is set and hub_service is not.")
    http = httpx.Client(
        timeout=TIMEOUT_SECONDS,
        follow_redirects=False,
        trust_env=False,
        limits=httpx.Limits(max_keepalive_connections=0),  # asked seldom: nothing to keep open
    )
    return Hub(http, clock, api_url=settings.hub_api_url, service=settings.hub_service)


def account_of(store: Store, hub: Hub | None, token: str) -> Account:
    """Return whose token it is, one of this service's or of the hub's.

    A token of ours is never shown to the hub.

    Raises:
        AuthenticationError: Nobody's; or the hub's user has no account.
        IdentityProviderError: The hub could not be asked.
    """
    if hub is None or token.startswith(TOKEN_PREFIX):
        return store.accounts.authenticate(token)
    user = hub.user(token)
    return store.links.account(hub.api_url, user.name, expires_at=user.until, scopes=HUB_SCOPES)
