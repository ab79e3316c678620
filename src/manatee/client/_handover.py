"""A program's side of getting a token through the person's browser (RFC 8252 with PKCE)."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Literal, Self
from urllib.parse import urlencode

from manatee.client._sign_in import SignInClient
from manatee.errors import AuthenticationError
from manatee.records import Handover, IssuedToken

Program = Literal["console", "lab", "command line"]
"""What the service's page calls the program that asks."""


@dataclass(frozen=True)
class AskedBrowser:
    """What a program remembers while the browser is away.

    Attributes:
        state: Comes back with the code: the answer is to this question.
        verifier: Known to nobody else; whoever has the code alone gets nothing for it.
    """

    state: str
    verifier: str

    @classmethod
    def fresh(cls) -> Self:
        """Draw both."""
        return cls(secrets.token_urlsafe(32), secrets.token_urlsafe(48))

    def address(self, service: str, *, program: Program, return_to: str) -> str:
        """Return where to send the browser.

        Args:
            service: Base URL of the service.
            program: Who asks.
            return_to: Where the program listens, on the loopback interface, by its address.
        """
        digest = hashlib.sha256(self.verifier.encode()).digest()
        challenge = urlsafe_b64encode(digest).rstrip(b"=").decode()
        query = {"program": program, "return_to": return_to, "state": self.state}
        return f"{service.rstrip('/')}/sign-in?{urlencode(query | {'challenge': challenge})}"

    def exchange(self, client: SignInClient, *, state: str, code: str) -> IssuedToken:
        """Exchange what the browser brought for the token.

        Raises:
            AuthenticationError: It is no answer to this question, or the code does not count.
            MalformedError: The code is none.
        """
        if not hmac.compare_digest(state.encode(), self.state.encode()):
            raise AuthenticationError("this answers another sign-in.", hint="Begin again.")
        return client.take_over(Handover(code=code, verifier=self.verifier))
