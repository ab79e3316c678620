"""Signing in: what a person without a token can ask a service."""

from __future__ import annotations

from typing import Any, Self, TypeVar

import httpx

from manatee.client._problems import error_of
from manatee.errors import ServiceUnreachableError
from manatee.records import (
    DevicePoll,
    DeviceSignIn,
    DeviceState,
    Handover,
    IssuedToken,
    Redemption,
    SecondFactor,
    SignIn,
    canonical_json,
    read_record,
)

TIMEOUT_SECONDS = 60.0

R = TypeVar("R")


class SignInClient:
    """Talks to one service as nobody yet.

    Every method raises, beside what it names, AuthenticationError, TooManyAttemptsError,
    ServiceUnreachableError, or the error class whose code the service's problem carries.
    """

    def __init__(self, url: str, *, transport: httpx.BaseTransport | None = None) -> None:
        """Make a client; nothing is sent yet.

        Args:
            url: Base URL of the service.
            transport: Stands in for the network in tests.

        Raises:
            ServiceUnreachableError: The URL is not one.
        """
        if not url.startswith(("http://", "https://")):
            raise ServiceUnreachableError("no service URL is given.", hint="Set MANATEE_URL.")
        self._url = url.rstrip("/")
        self._http = httpx.Client(
            base_url=self._url, timeout=TIMEOUT_SECONDS, transport=transport, trust_env=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def sign_in(self, wanted: SignIn) -> IssuedToken:
        """Sign in with a password and a code."""
        return self._post("/v1/sign-in", IssuedToken, wanted)

    def redeem(self, wanted: Redemption) -> SecondFactor:
        """Take up an invitation.

        Raises:
            MalformedError: The password is too easily guessed.
        """
        return self._post("/v1/sign-in/invitation", SecondFactor, wanted)

    def take_over(self, given: Handover) -> IssuedToken:
        """Exchange the code that the browser brought."""
        return self._post("/v1/sign-in/handover", IssuedToken, given)

    def begin_device(self) -> DeviceSignIn:
        """Begin a sign-in that the person confirms at the identity provider.

        Raises:
            NotFoundError: The service has no identity provider.
            IdentityProviderError: It does not answer.
        """
        return self._post("/v1/sign-in/device", DeviceSignIn)

    def poll_device(self, poll: DevicePoll) -> DeviceState:
        """Ask whether the person has confirmed."""
        return self._post("/v1/sign-in/device/poll", DeviceState, poll)

    def _post(self, path: str, kind: type[R], body: Any = None) -> R:
        content = b"" if body is None else canonical_json(body)
        headers = {"content-type": "application/json"}
        try:
            response = self._http.post(path, content=content, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise ServiceUnreachableError(
                f"the service at {self._url} did not answer ({type(error).__name__}).",
                hint="Check that it runs and that MANATEE_URL is right.",
            ) from error
        if not response.is_success:
            raise error_of(response.status_code, response.content)
        return read_record(response.content, kind, what="answer")
