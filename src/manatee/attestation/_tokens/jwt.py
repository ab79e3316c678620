"""JSON Web Tokens (RFC 7519), read strictly before any library sees them, then verified by PyJWT.

A token chooses nothing here: the algorithm is a list of one, the key is ours, no address in it is
ever fetched, and every member of its header must be one that its kind has.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from manatee.errors import AppraisalRefusedError, AttestationError, MalformedError
from manatee.records import parse_json

MAX_TOKEN_BYTES = 32 << 10
MAX_HEADER_BYTES = 16 << 10
CLOCK_SKEW_SECONDS = 60
MAX_LIFE_SECONDS = 24 * 3600
"""Longest a token may claim to live; the longest seen in use is eight hours."""


@dataclass(frozen=True)
class Token:
    """A compact JWS, read but not verified."""

    compact: str
    header: dict[str, Any]
    claims: dict[str, Any]


def _decode(part: str, what: str) -> bytes:
    try:
        data = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError as error:
        raise MalformedError(f"the token's {what} is not base64url.") from error
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != part:
        raise MalformedError(f"the token's {what} is not in its canonical encoding.")
    return data


def read_token(
    data: bytes, *, algorithm: str, required: frozenset[str], optional: frozenset[str]
) -> Token:
    """Read a compact JWS strictly, verifying nothing.

    Args:
        data: ASCII.
        algorithm: The only one that may stand in the header.
        required: Header members that must be there, beside `alg`.
        optional: Header members that may be there.

    Raises:
        MalformedError: It is not such a token: too large, encrypted, another algorithm, an
            unknown header member (`jwk`, `crit`, `zip`, …), or JSON that is not strict.
    """
    if len(data) > MAX_TOKEN_BYTES:
        raise MalformedError(f"a token has at most {MAX_TOKEN_BYTES} bytes.")
    try:
        compact = data.decode("ascii")
    except UnicodeDecodeError as error:
        raise MalformedError("a token is ASCII.") from error
    parts = compact.split(".")
    if len(parts) != 3 or len(parts[0]) > MAX_HEADER_BYTES:
        raise MalformedError("a signed token has three parts, and a header of bounded size.")
    header = parse_json(_decode(parts[0], "header"))
    claims = parse_json(_decode(parts[1], "payload"))
    _decode(parts[2], "signature")
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise MalformedError("a token's header and payload are objects.")
    if header.get("alg") != algorithm:
        raise MalformedError(f"the token's algorithm must be {algorithm}.")
    members = set(header) - {"alg"}
    if not required <= members <= required | optional:
        raise MalformedError("the token's header lacks a member, or has one that is not taken.")
    if header.get("typ", "JWT") != "JWT":
        raise MalformedError("the token's type must be JWT.")
    return Token(compact, header, claims)


def signature_holds(token: Token, key: Any, algorithm: str) -> bool:
    """Whether a token is signed by a key (a `cryptography` public key; None signs nothing).

    Raises:
        AttestationError: PyJWT is not installed.
    """
    try:
        import jwt
    except ImportError as error:
        raise AttestationError(
            "tokens need PyJWT.", hint="pip install 'manatee[attest]'"
        ) from error
    try:
        jwt.api_jws.decode(token.compact, key, algorithms=[algorithm])
    except (jwt.PyJWTError, ValueError, TypeError):
        return False
    return True


@dataclass(frozen=True)
class Times:
    """When a token was issued, begins and ends."""

    issued: datetime
    begins: datetime
    ends: datetime


def _moment(claims: dict[str, Any], name: str) -> datetime:
    value = claims.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise MalformedError(f"the token's {name} must be a whole number.")
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise MalformedError(f"the token's {name} is impossible.") from error


def read_times(claims: dict[str, Any]) -> Times:
    """Return a token's times: whole seconds, all of them there.

    Raises:
        MalformedError: One is missing, text, a fraction or impossible, or they do not follow.
    """
    times = Times(_moment(claims, "iat"), _moment(claims, "nbf"), _moment(claims, "exp"))
    if not times.begins < times.ends or times.issued > times.ends:
        raise MalformedError("the token ends before it begins.")
    return times


def times_hold(times: Times, at: datetime, max_age_seconds: int | None) -> bool:
    """Whether a token is in force, not from the future, short-lived, and young enough.

    Without `max_age_seconds`, as in a run bundle read years later, only its span is asked.
    """
    skew = timedelta(seconds=CLOCK_SKEW_SECONDS)
    if times.ends - times.begins > timedelta(seconds=MAX_LIFE_SECONDS):
        return False
    if max(times.issued, times.begins) > at + skew:
        return False
    if max_age_seconds is None:
        return True
    return at <= times.ends and at - times.issued <= timedelta(seconds=max_age_seconds)


def member(claims: dict[str, Any], *names: str) -> Any:
    """Return a nested member, or None where it or anything above it is not there."""
    found: Any = claims
    for name in names:
        if not isinstance(found, dict):
            return None
        found = found.get(name)
    return found


def text_member(claims: dict[str, Any], *names: str) -> str:
    """Return a nested member that is text, or an empty text."""
    found = member(claims, *names)
    return found if isinstance(found, str) else ""


def texts_member(claims: dict[str, Any], *names: str) -> tuple[str, ...]:
    """Return a nested list of texts; anything else is an empty one."""
    found = member(claims, *names)
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        return ()
    return tuple(found)


def single_audience(claims: dict[str, Any], wanted: str) -> bool:
    """Whether a token is for exactly one audience, and that one."""
    return bool(wanted) and claims.get("aud") == wanted


def need(condition: bool, reason: str) -> None:
    """Refuse with a reason unless a condition holds. Raises AppraisalRefusedError."""
    if not condition:
        raise AppraisalRefusedError(reason)
