"""ID tokens: everything that must be true of one before its subject is believed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from manatee.errors import AuthenticationError

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA", "Ed25519")
"""Signatures by a key that the provider alone has; never a shared secret, never none."""

LEEWAY_SECONDS = 60
"""How far the provider's clock may be off."""

MAX_AGE_SECONDS = 600
"""How old an ID token may be: it comes straight from the provider."""


def subject_of(
    token: str, keys: KeySet, *, issuer: str, client_id: str, nonce: str | None, now: datetime
) -> str:
    """Return the subject of an ID token of this issuer, for this client, for this sign-in.

    Args:
        token: As it came from the provider.
        keys: The provider's public keys.
        issuer: Exactly as configured.
        client_id: What the provider calls this service.
        nonce: Sent with this sign-in; None for flows that have none.
        now: The present moment.

    Raises:
        AuthenticationError: Anything is wrong; says which claim.
    """
    seconds = int(now.timestamp())
    demanded: dict[str, Any] = {
        "iss": {"essential": True, "value": issuer},
        "aud": {"essential": True, "value": client_id},
        "sub": {"essential": True},
        "exp": {"essential": True},
        "iat": {"essential": True},
    }
    if nonce is not None:
        demanded["nonce"] = {"essential": True, "value": nonce}
    try:
        decoded = jwt.decode(token, keys, algorithms=ALGORITHMS)
        claims = decoded.claims
        jwt.JWTClaimsRegistry(now=seconds, leeway=LEEWAY_SECONDS, **demanded).validate(claims)
    except (JoseError, ValueError) as error:
        raise _refused(type(error).__name__, getattr(error, "claim", "")) from error
    _check_authorized_party(claims, client_id)
    if claims["iat"] < seconds - MAX_AGE_SECONDS:
        raise _refused("ExpiredTokenError", "iat")
    return str(claims["sub"])


def _check_authorized_party(claims: Mapping[str, Any], client_id: str) -> None:
    audience = claims["aud"]
    several = isinstance(audience, list) and len(audience) > 1
    party = claims.get("azp", None if several else client_id)
    if party != client_id:
        raise _refused("InvalidClaimError", "azp")


def _refused(kind: str, claim: str) -> AuthenticationError:
    return AuthenticationError(
        f"the identity provider's token does not count ({kind}{f', {claim}' if claim else ''}).",
        hint="Sign in again; if that fails, the operator compares the provider's settings.",
    )
