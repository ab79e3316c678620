"""Passkeys (WebAuthn): what a browser is asked, and whether its answer counts."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from manatee.errors import AuthenticationError

CHALLENGE_BYTES = 32
CHALLENGE_SECONDS = 300
"""How long a browser has for its answer."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,1400}")
_VERIFIED = UserVerificationRequirement.REQUIRED


@dataclass(frozen=True)
class Passkey:
    """The public half of a passkey; `id` in base64url."""

    id: str
    public_key: bytes
    sign_count: int


def _host(origin: str) -> str:
    return urlsplit(origin).hostname or ""


def new_challenge() -> str:
    """Return a fresh challenge, in base64url."""
    return bytes_to_base64url(secrets.token_bytes(CHALLENGE_BYTES))


def registration_options(
    origin: str, challenge: str, *, account: str, known: Collection[str]
) -> str:
    """Return the JSON for `navigator.credentials.create`; known passkeys are not made twice."""
    options = generate_registration_options(
        rp_id=_host(origin),
        rp_name="ManaTEE",
        user_name=account,
        user_id=account.encode(),
        challenge=base64url_to_bytes(challenge),
        timeout=CHALLENGE_SECONDS * 1000,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=_VERIFIED
        ),
        exclude_credentials=[
            PublicKeyCredentialDescriptor(id=base64url_to_bytes(item)) for item in known
        ],
    )
    return options_to_json(options)


def authentication_options(origin: str, challenge: str) -> str:
    """Return the JSON for `navigator.credentials.get`: the person picks, nobody is named."""
    options = generate_authentication_options(
        rp_id=_host(origin),
        challenge=base64url_to_bytes(challenge),
        timeout=CHALLENGE_SECONDS * 1000,
        user_verification=_VERIFIED,
    )
    return options_to_json(options)


def registered(origin: str, challenge: str, credential: str) -> Passkey:
    """Return the passkey that a browser has made.

    Raises:
        AuthenticationError: The answer does not count.
    """
    try:
        found = verify_registration_response(
            credential=credential,
            expected_challenge=base64url_to_bytes(challenge),
            expected_rp_id=_host(origin),
            expected_origin=origin,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as error:
        raise passkey_refused() from error
    return Passkey(
        bytes_to_base64url(found.credential_id), found.credential_public_key, found.sign_count
    )


def credential_id(credential: str) -> str:
    """Return which passkey an answer says it is of; nothing is checked yet.

    Raises:
        AuthenticationError: It does not say.
    """
    try:
        value = json.loads(credential)
    except (ValueError, RecursionError) as error:
        raise passkey_refused() from error
    found = value.get("id") if isinstance(value, dict) else None
    if not isinstance(found, str) or not _ID.fullmatch(found):
        raise passkey_refused()
    return found


def authenticated(origin: str, challenge: str, credential: str, passkey: Passkey) -> int:
    """Check a browser's answer with the passkey it names; returns the new sign count.

    Raises:
        AuthenticationError: The answer does not count.
    """
    try:
        found = verify_authentication_response(
            credential=credential,
            expected_challenge=base64url_to_bytes(challenge),
            expected_rp_id=_host(origin),
            expected_origin=origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as error:
        raise passkey_refused() from error
    return found.new_sign_count


def passkey_refused() -> AuthenticationError:
    """Return the one answer to every passkey that does not count."""
    return AuthenticationError("the passkey does not count.", hint="Begin again.")
