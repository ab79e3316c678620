"""Talk with one OpenID Connect provider: discovery, authorization code with PKCE, device flow.

Tokens come from the provider itself over TLS, never from the caller. What a person may do never
comes from the provider: only who they are.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from manatee._clock import Clock
from manatee.errors import AuthenticationError, IdentityProviderError, SettingsError
from manatee.identity._id_tokens import subject_of

MAX_ANSWER_BYTES = 1 << 20
KEPT = timedelta(hours=1)
"""How long what the provider says of itself, and its keys, are kept."""

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass(frozen=True)
class Asked:
    """One sign-in under way: secrets of this service that its answer must fit."""

    state: str
    nonce: str
    verifier: str

    @classmethod
    def fresh(cls) -> Asked:
        """Draw new ones."""
        return cls(*(secrets.token_urlsafe(32) for _ in range(3)))

    @property
    def challenge(self) -> str:
        """What the provider is told of the verifier (RFC 7636, S256)."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@dataclass(frozen=True)
class Device:
    """A device sign-in under way; `code` stays with this service."""

    code: str
    user_code: str
    url: str
    interval: int
    expires_in: int


@dataclass(frozen=True)
class NotYet:
    """The person is not done; `slower`: the provider wants to be asked less often."""

    slower: bool


def is_local(url: str) -> bool:
    """Return whether a URL is of this machine itself, where plain HTTP is safe."""
    return urlsplit(url).hostname in ("127.0.0.1", "::1", "localhost")


class Provider:
    """One provider, as configured; safe to share between threads."""

    def __init__(
        self, http: httpx.Client, clock: Clock, *, issuer: str, client_id: str, secret: str = ""
    ) -> None:
        """Configure it; nothing is asked yet.

        Raises:
            SettingsError: No client id, or the issuer is not an https URL.
        """
        if not client_id:
            raise SettingsError("oidc_issuer is set and oidc_client_id is not.")
        self._require_safe(issuer, SettingsError)
        self.issuer, self.client_id = issuer, client_id
        self._secret, self._http, self._clock = secret, http, clock
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[datetime, dict[str, Any]]] = {}

    @staticmethod
    def _require_safe(url: str, kind: type[SettingsError] | type[IdentityProviderError]) -> None:
        if not (url.startswith("https://") or (url.startswith("http://") and is_local(url))):
            raise kind("an identity provider must be reached by https.")

    def authorization_url(self, asked: Asked, redirect_uri: str) -> str:
        """Return where to send the person's browser.

        Raises:
            IdentityProviderError: The provider does not answer.
        """
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self.client_id,
                "redirect_uri": redirect_uri,
                "scope": "openid",
                "state": asked.state,
                "nonce": asked.nonce,
                "code_challenge": asked.challenge,
                "code_challenge_method": "S256",
            }
        )
        endpoint = self._endpoint("authorization_endpoint")
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{query}"

    def subject(self, asked: Asked, *, code: str, issuer: str, redirect_uri: str) -> str:
        """Trade the code of a redirect for who the person is.

        Args:
            asked: What `authorization_url` was given.
            code: Of the redirect.
            issuer: The redirect's `iss`; "" if it had none.
            redirect_uri: As in `authorization_url`.

        Raises:
            AuthenticationError: The code or the ID token does not count.
            IdentityProviderError: The provider does not answer.
        """
        promised = self._metadata().get("authorization_response_iss_parameter_supported") is True
        if issuer != self.issuer and (issuer or promised):
            raise AuthenticationError("the answer is another identity provider's.")
        answer = self._token(
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": redirect_uri,
                "code_verifier": asked.verifier,
            }
        )
        if isinstance(answer, str):
            raise AuthenticationError("the identity provider refused the code.")
        return self._verified(answer, asked.nonce)

    def start_device(self) -> Device:
        """Begin a device sign-in (RFC 8628).

        Raises:
            IdentityProviderError: The provider does not answer, or has no such flow.
        """
        answer = self._post("device_authorization_endpoint", {"scope": "openid"})
        try:
            url = str(answer.get("verification_uri_complete") or answer["verification_uri"])
            found = Device(
                code=str(answer["device_code"]),
                user_code=str(answer["user_code"]),
                url=url,
                interval=max(1, int(answer.get("interval", 5))),
                expires_in=min(1800, int(answer["expires_in"])),
            )
        except (KeyError, ValueError, TypeError) as error:
            raise IdentityProviderError("the identity provider began no device flow.") from error
        self._require_safe(found.url, IdentityProviderError)
        return found

    def poll_device(self, device_code: str) -> str | NotYet:
        """Return who the person is once they have confirmed.

        Raises:
            AuthenticationError: They refused, were too late, or the ID token does not count.
            IdentityProviderError: The provider does not answer.
        """
        answer = self._token({"grant_type": DEVICE_GRANT, "device_code": device_code})
        if answer in ("authorization_pending", "slow_down"):
            return NotYet(slower=answer == "slow_down")
        if isinstance(answer, str):
            raise AuthenticationError("the sign-in was refused, or took too long.")
        return self._verified(answer, None)

    def _verified(self, answer: dict[str, Any], nonce: str | None) -> str:
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise IdentityProviderError("the identity provider gave no ID token.")
        try:
            return self._subject(token, self._keys(), nonce)
        except AuthenticationError:
            if not self._forget_old_keys():
                raise
        return self._subject(token, self._keys(), nonce)

    def _subject(self, token: str, keys: KeySet, nonce: str | None) -> str:
        return subject_of(
            token,
            keys,
            issuer=self.issuer,
            client_id=self.client_id,
            nonce=nonce,
            now=self._clock(),
        )

    def _token(self, form: dict[str, str]) -> dict[str, Any] | str:
        # a dict of tokens, or the provider's error code
        answer = self._post("token_endpoint", form)
        error = answer.get("error")
        return str(error) if error is not None else answer

    def _post(self, endpoint: str, form: dict[str, str]) -> dict[str, Any]:
        fields = {"client_id": self.client_id, **form}
        if self._secret:
            fields["client_secret"] = self._secret
        return self._ask("POST", self._endpoint(endpoint), fields, (200, 400, 401))

    def _endpoint(self, name: str) -> str:
        url = self._metadata().get(name)
        if not isinstance(url, str):
            raise IdentityProviderError(f"the identity provider has no {name}.")
        self._require_safe(url, IdentityProviderError)
        return url

    def _metadata(self) -> dict[str, Any]:
        found = self._cached(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != self.issuer:
            raise IdentityProviderError("the identity provider calls itself by another name.")
        return found

    def _keys(self) -> KeySet:
        try:
            keys = self._cached(self._endpoint("jwks_uri"))["keys"]
            return KeySet.import_key_set(
                {"keys": [key for key in keys if key.get("kty") in ("RSA", "EC", "OKP")]}
            )
        except (JoseError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise IdentityProviderError("the identity provider's keys cannot be read.") from error

    def _forget_old_keys(self) -> bool:
        # a provider may have changed its keys; a stranger must not make us ask all the time
        url = self._endpoint("jwks_uri")
        with self._lock:
            at, _ = self._kept.get(url, (self._clock(), {}))
            if self._clock() - at < timedelta(minutes=1):
                return False
            self._kept.pop(url, None)
        return True

    def _cached(self, url: str) -> dict[str, Any]:
        now = self._clock()
        with self._lock:
            found = self._kept.get(url)
        if found is None or not timedelta() <= now - found[0] < KEPT:
            found = (now, self._ask("GET", url, None, (200,)))
            with self._lock:
                self._kept[url] = found
        return found[1]

    def _ask(
        self, method: str, url: str, form: dict[str, str] | None, allowed: tuple[int, ...]
    ) -> dict[str, Any]:
        body = bytearray()
        try:
            with self._http.stream(method, url, data=form) as response:
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > MAX_ANSWER_BYTES:
                        raise IdentityProviderError("the identity provider's answer is too long.")
                status = response.status_code
            value = httpx.Response(status, content=bytes(body)).json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise IdentityProviderError(
                f"the identity provider does not answer ({type(error).__name__})."
            ) from error
        if status not in allowed or not isinstance(value, dict):
            raise IdentityProviderError(f"the identity provider answered with status {status}.")
        return value
