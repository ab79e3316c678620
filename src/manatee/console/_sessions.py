"""Who is signed in: a random cookie, and the API token in this process's memory only."""

from __future__ import annotations

import hmac
import secrets
import threading
from dataclasses import dataclass

from manatee._clock import monotonic
from manatee.client import ManateeClient
from manatee.errors import AuthenticationError, AuthorizationError
from manatee.records import Caller

COOKIE = "manatee_console"
IDLE_SECONDS = 3600.0
LIFE_SECONDS = 8 * 3600.0
MAX_SESSIONS = 1000
"""Sessions kept; the oldest goes."""


@dataclass
class Session:
    """One person's session."""

    client: ManateeClient
    caller: Caller
    csrf: str
    begun: float
    seen: float


class Sessions:
    """All sessions of one console."""

    def __init__(self, url: str) -> None:
        """Start with none.

        Args:
            url: Of the service that tokens are for.
        """
        self._url = url
        self._all: dict[str, Session] = {}
        self._lock = threading.Lock()

    def begin(self, token: str) -> str:
        """Sign somebody in with an API token; returns the new cookie's value.

        Raises:
            AuthenticationError: The service does not know the token.
            ServiceUnreachableError: The service did not answer.
        """
        client = ManateeClient(self._url, token)
        try:
            caller = client.whoami()
        except BaseException:
            client.close()
            raise
        now = monotonic()
        key = secrets.token_urlsafe(32)
        with self._lock:
            self._all[key] = Session(client, caller, secrets.token_urlsafe(32), now, now)
            while len(self._all) > MAX_SESSIONS:
                self._end(next(iter(self._all)))
        return key

    def get(self, key: str) -> Session:
        """Return a session that lives.

        Raises:
            AuthenticationError: There is none, or it was left alone too long.
        """
        now = monotonic()
        with self._lock:
            session = self._all.get(key)
            if session is not None and (
                now - session.seen > IDLE_SECONDS or now - session.begun > LIFE_SECONDS
            ):
                self._end(key)
                session = None
            if session is None:
                raise AuthenticationError("you are not signed in.")
            session.seen = now
            return session

    def end(self, key: str) -> None:
        """Sign somebody out."""
        with self._lock:
            self._end(key)

    def close(self) -> None:
        """Sign everybody out."""
        with self._lock:
            for key in list(self._all):
                self._end(key)

    def _end(self, key: str) -> None:
        session = self._all.pop(key, None)
        if session is not None:
            session.client.close()


def check_form(session: Session, form: dict[str, str]) -> None:
    """Check that a form is one of ours.

    Raises:
        AuthorizationError: It lacks this session's word: another site may have sent it.
    """
    if not hmac.compare_digest(form.get("csrf", "").encode(), session.csrf.encode()):
        raise AuthorizationError("this form is not one of this session.", hint="Load it again.")
