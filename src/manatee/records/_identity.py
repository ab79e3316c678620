"""What people prove who they are with, on the wire."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from manatee.records._base import Moment, Name, Record

Scope = Literal[
    "read", "submit", "project", "approve", "review", "publish", "administer", "credentials"
]
"""What a token may be used for, beside what its owner's memberships allow.

`credentials` makes tokens and passkeys; only signing in, or the operator, gives it.
"""

TokenLabel = Annotated[str, Meta(min_length=1, max_length=80, pattern=r"^[ -~]+$")]
"""One line that a person recognises a token or passkey by."""

Secret = Annotated[str, Meta(min_length=1, max_length=256)]
"""A code, a handle or a token."""


class TokenEntry(Record, frozen=True, kw_only=True):
    """A token, without the token. `last_used_on` is a day."""

    id: str
    label: str
    scopes: tuple[Scope, ...]
    created_at: Moment
    expires_at: Moment
    last_used_on: str | None = None


class TokenList(Record, frozen=True, kw_only=True):
    """The tokens of one account that have not expired, oldest first."""

    tokens: tuple[TokenEntry, ...]


class NewToken(Record, frozen=True, kw_only=True):
    """Asks for a token."""

    label: TokenLabel
    scopes: Annotated[tuple[Scope, ...], Meta(min_length=1, max_length=8)]
    expires_at: Moment


class IssuedToken(Record, frozen=True, kw_only=True):
    """A token, shown this once."""

    token: str
    entry: TokenEntry


class SignIn(Record, frozen=True, kw_only=True):
    """A password, and a code of the authenticator app or a recovery code."""

    name: Name
    password: Annotated[str, Meta(min_length=1, max_length=1024)]
    code: Secret
    scopes: Annotated[tuple[Scope, ...], Meta(max_length=8)] = ()
    """Of the token that is asked for; empty: all."""


class SignInWays(Record, frozen=True, kw_only=True):
    """How people can sign in here, beside name, password and code.

    Attributes:
        passkeys: Whether passkeys count, at `public_url`.
        provider: Host of the identity provider; "" for none.
        public_url: Where browsers find the service; "" if it was not told.
    """

    passkeys: bool
    provider: str
    public_url: str


class HandoverRequest(Record, frozen=True, kw_only=True):
    """Asks for a token for a program on the person's own computer (RFC 8252, RFC 7636).

    `challenge` is the base64url SHA-256 of the verifier that only the program knows.
    """

    label: TokenLabel
    scopes: Annotated[tuple[Scope, ...], Meta(min_length=1, max_length=8)]
    challenge: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{43}\Z")]


class HandoverCode(Record, frozen=True, kw_only=True):
    """What the browser takes to the program: good once, for a minute."""

    code: str


class Handover(Record, frozen=True, kw_only=True):
    """Exchanges the code for the token."""

    code: Secret
    verifier: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._~-]{43,128}\Z")]


class Redemption(Record, frozen=True, kw_only=True):
    """Takes up an invitation: sets a password and makes a new second factor."""

    name: Name
    invitation: Secret
    password: Annotated[str, Meta(min_length=1, max_length=1024)]


class SecondFactor(Record, frozen=True, kw_only=True):
    """For an authenticator app, and codes for when it is lost; shown this once."""

    totp_uri: str
    totp_qr: str
    """The same as a picture: an SVG in a `data:` URL."""
    recovery_codes: tuple[str, ...]


class ProviderSignIn(Record, frozen=True, kw_only=True):
    """Where to send the person's browser; `flow` stays with whoever began and finishes it."""

    flow: str
    url: str


class ProviderReturn(Record, frozen=True, kw_only=True):
    """What the provider's redirect brought back. `invitation` links the account, the first time."""

    flow: Secret
    state: Secret
    code: Annotated[str, Meta(min_length=1, max_length=4096)]
    issuer: Annotated[str, Meta(max_length=512)] = ""
    """The redirect's `iss`, if the provider sends one."""
    invitation: Annotated[str, Meta(max_length=256)] = ""
    name: Name | None = None
    """Of the invitation."""


class DeviceSignIn(Record, frozen=True, kw_only=True):
    """What the person types at the provider, on any device. Times are in seconds."""

    flow: str
    user_code: str
    url: str
    interval: int
    expires_in: int


class DevicePoll(Record, frozen=True, kw_only=True):
    """Asks whether the person is done."""

    flow: Secret
    invitation: Annotated[str, Meta(max_length=256)] = ""
    name: Name | None = None


class DeviceState(Record, frozen=True, kw_only=True):
    """Not yet (`token` is None: ask again after `interval` seconds), or signed in."""

    interval: int
    token: IssuedToken | None = None


class PasskeyOptions(Record, frozen=True, kw_only=True):
    """What the browser is given; `options` is the JSON of the WebAuthn call."""

    flow: str
    options: str


class PasskeyAnswer(Record, frozen=True, kw_only=True):
    """What the browser gave; `credential` is its JSON."""

    flow: Secret
    credential: Annotated[str, Meta(min_length=2, max_length=65536)]
    label: TokenLabel = "passkey"


class PasskeyEntry(Record, frozen=True, kw_only=True):
    """A passkey; its private half never left the person's device."""

    id: str
    label: str
    created_at: Moment


class PasskeyList(Record, frozen=True, kw_only=True):
    """The passkeys of one account, oldest first."""

    passkeys: tuple[PasskeyEntry, ...]
