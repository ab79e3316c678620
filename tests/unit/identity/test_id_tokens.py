"""ID tokens that must not be believed, each wrong in one thing alone."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from manatee.errors import AuthenticationError
from manatee.identity import subject_of

NOW = 1_800_000_000
KEY = RSAKey.generate_key(2048, {"kid": "one"})
OTHER = RSAKey.generate_key(2048, {"kid": "one"})
KEYS = KeySet.import_key_set({"keys": [KEY.as_dict(private=False)]})
GOOD: dict[str, Any] = {
    "iss": "https://id.example",
    "aud": "manatee",
    "sub": "1234",
    "nonce": "n",
    "iat": NOW - 5,
    "exp": NOW + 300,
}


def token(key: Any = KEY, alg: str = "RS256", **changes: Any) -> str:
    claims = {name: value for name, value in (GOOD | changes).items() if value is not None}
    return jwt.encode({"alg": alg, "kid": "one"}, claims, key, algorithms=[alg])


def ask(value: str, nonce: str | None = "n", at: int = NOW) -> str:
    return subject_of(
        value,
        KEYS,
        issuer="https://id.example",
        client_id="manatee",
        nonce=nonce,
        now=datetime.fromtimestamp(at, UTC),
    )


def test_a_good_token_names_its_subject() -> None:
    assert ask(token()) == "1234"
    assert ask(token(nonce=None), nonce=None) == "1234"
    assert ask(token(aud=["manatee"])) == "1234"
    assert ask(token(aud=["manatee", "other"], azp="manatee")) == "1234"


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def unsigned() -> str:
    return f"{_part({'alg': 'none', 'kid': 'one'})}.{_part(GOOD)}."


def signed_with_the_public_key_as_a_password() -> str:
    head = _part({"alg": "HS256", "kid": "one"})
    signed = f"{head}.{_part(GOOD)}"
    made = hmac.new(KEY.as_pem(private=False), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}"


WRONG: dict[str, Callable[[], str]] = {
    "none as its algorithm": unsigned,
    "a shared secret's algorithm": signed_with_the_public_key_as_a_password,
    "another key": lambda: token(OTHER),
    "another issuer": lambda: token(iss="https://evil.example"),
    "an issuer that only looks the same": lambda: token(iss="https://id.example/"),
    "no issuer": lambda: token(iss=None),
    "another audience": lambda: token(aud="other"),
    "no audience": lambda: token(aud=None),
    "several audiences and no authorized party": lambda: token(aud=["manatee", "other"]),
    "another authorized party": lambda: token(azp="other"),
    "another party of several": lambda: token(aud=["manatee", "other"], azp="other"),
    "another nonce": lambda: token(nonce="m"),
    "no nonce": lambda: token(nonce=None),
    "no subject": lambda: token(sub=None),
    "an end that is past": lambda: token(exp=NOW - 61),
    "no end": lambda: token(exp=None),
    "no beginning": lambda: token(iat=None),
    "a beginning in the future": lambda: token(iat=NOW + 61),
    "a beginning long ago": lambda: token(iat=NOW - 601),
    "a time from which it counts that is not yet": lambda: token(nbf=NOW + 61),
    "no form at all": lambda: "not.a.token",
}


@pytest.mark.parametrize("what", WRONG)
def test_a_token_is_refused_that_has(what: str) -> None:
    with pytest.raises(AuthenticationError):
        ask(WRONG[what]())


@pytest.mark.parametrize(("seconds", "counts"), [(-59, True), (59, True), (-62, False)])
def test_clocks_may_be_a_minute_apart(seconds: int, counts: bool) -> None:
    fresh = token(iat=NOW, exp=NOW + 300)
    moment = NOW + 300 + seconds if seconds > 0 else NOW + seconds
    if counts:
        assert ask(fresh, at=moment) == "1234"
        return
    with pytest.raises(AuthenticationError):
        ask(fresh, at=moment)


def test_the_refusal_names_the_claim_and_nothing_of_the_token() -> None:
    with pytest.raises(AuthenticationError, match="aud") as raised:
        ask(token(aud="somebody-else"))
    assert "somebody-else" not in str(raised.value)
