"""Ask a JupyterHub whose token one is, and whether it is for this service.

What a person may do never comes from the hub: only who they are. A token of a user's server is
enough, as long as the hub was told to give it the scope `access:services!service=NAME`; no other
scope of it is used.
"""

from __future__ import annotations

import hashlib
import re
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx

from manatee._clock import Clock
from manatee.errors import (
    AuthenticationError,
    IdentityProviderError,
    MalformedError,
    SettingsError,
)
from manatee.identity._provider import is_local
from manatee.records import parse_json

KEPT = timedelta(seconds=30)
"""How long an answer counts: a token that the hub revoked works at most so much longer."""

MAX_KEPT = 10_000
MAX_ANSWER_BYTES = 1 << 20

_TOKEN = re.compile(r"[\x21-\x7e]{16,256}")


@dataclass(frozen=True)
class HubUser:
    """Somebody the hub knows; `until` is when the hub must be asked again."""

    name: str
    until: datetime


class Hub:
    """One JupyterHub, as configured; safe to share between threads."""

    def __init__(self, http: httpx.Client, clock: Clock, *, api_url: str, service: str) -> None:
        """Configure it; nothing is asked yet.

        Args:
            http: Follows no redirects.
            clock: For how long answers count.
            api_url: Of the hub's REST API; ends in `/hub/api`. It names the hub in links to
                accounts, too.
            service: What the hub calls this service.

        Raises:
            SettingsError: The URL is neither https nor of this machine, or there is no name.
        """
        self.api_url = api_url.rstrip("/")
        local = self.api_url.startswith("http://") and is_local(self.api_url)
        if not (self.api_url.startswith("https://") or local):
            raise SettingsError(
                "hub_api_url must be an https URL, or one of this machine.",
                hint="Tokens are sent there: such as https://hub.example/hub/api.",
            )
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", service):
            raise SettingsError("hub_service must be the name of a JupyterHub service.")
        self._http, self._clock, self._service = http, clock, service
        self._lock = threading.Lock()
        self._kept: dict[str, HubUser] = {}

    def user(self, token: str) -> HubUser:
        """Return whose token it is.

        Raises:
            AuthenticationError: The hub does not know it, or it is not a person's, or it is not
                for this service.
            IdentityProviderError: The hub could not be asked; nobody is let in.
        """
        if not _TOKEN.fullmatch(token):
            raise _refused()
        digest = hashlib.sha256(token.encode()).hexdigest()
        now = self._clock()
        with self._lock:
            kept = self._kept.get(digest)
        if kept is not None and now < kept.until:
            return kept
        found = HubUser(self._ask(token), now + KEPT)
        with self._lock:
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            self._kept[digest] = found
        return found

    def _ask(self, token: str) -> str:
        try:
            with self._http.stream(
                "GET", f"{self.api_url}/user", headers={"authorization": f"token {token}"}
            ) as answer:
                data = b""
                for piece in answer.iter_bytes():
                    data += piece
                    if len(data) > MAX_ANSWER_BYTES:
                        raise IdentityProviderError("the hub's answer is too long.")
                status = answer.status_code
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise IdentityProviderError(
                "the hub does not answer.", hint="Try again; tell the operator if it lasts."
            ) from error
        if status in (401, 403):
            raise _refused()
        if status != 200:
            raise IdentityProviderError(f"the hub answers with status {status}.")
        return self._name_in(data)

    def _name_in(self, data: bytes) -> str:
        try:
            found = parse_json(data)
        except MalformedError as error:
            raise IdentityProviderError("the hub's answer is not JSON.") from error
        name = found.get("name") if isinstance(found, dict) else None
        scopes = found.get("scopes") if isinstance(found, dict) else None
        if not isinstance(name, str) or not isinstance(scopes, list):
            raise IdentityProviderError("the hub's answer does not say whose token it is.")
        if found.get("kind") != "user":
            raise _refused()
        if f"access:services!service={self._service}" not in scopes:
            raise AuthenticationError(
                "this token of the hub is not for this service.",
                hint=f"The hub must give it the scope access:services!service={self._service}.",
            )
        return name


def _refused() -> AuthenticationError:
    return AuthenticationError(
        "the hub does not know this token.", hint="Restart your server from the hub."
    )
