"""An identity provider that is hostile, broken or changes its keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from manatee.errors import AuthenticationError, IdentityProviderError, SettingsError
from manatee.identity import Asked, Provider
from manatee.testing import SettableClock

ISSUER = "https://id.example"
OLD, NEW = (RSAKey.generate_key(2048, {"kid": name}) for name in ("old", "new"))
Answer = Callable[[httpx.Request], httpx.Response]


class Pretender:
    """Answers as a provider; what it says can be changed."""

    def __init__(self) -> None:
        self.metadata: dict[str, Any] = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/keys",
        }
        self.key = OLD
        self.asked: list[str] = []
        self.forms: list[dict[str, str]] = []
        self.other: Answer | None = None
        self.clock = SettableClock()
        self.asked_for = Asked.fresh()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        if self.other is not None:
            return self.other(request)
        match request.url.path:
            case "/.well-known/openid-configuration":
                return httpx.Response(200, json=self.metadata)
            case "/keys":
                return httpx.Response(200, json={"keys": [self.key.as_dict(private=False)]})
        self.forms.append(dict(parse_qsl(request.content.decode())))
        now = int(self.clock().timestamp())
        claims = {"iss": ISSUER, "aud": "manatee", "sub": "1", "iat": now, "exp": now + 60}
        head = {"alg": "RS256", "kid": self.key.kid}
        token = jwt.encode(head, claims | {"nonce": self.asked_for.nonce}, self.key)
        return httpx.Response(200, json={"id_token": token})

    def subject(self, provider: Provider) -> str:
        return provider.subject(self.asked_for, code="c", issuer=ISSUER, redirect_uri="https://x/")


@pytest.fixture
def pretender() -> Pretender:
    return Pretender()


@pytest.fixture
def provider(pretender: Pretender) -> Iterator[Provider]:
    with httpx.Client(transport=httpx.MockTransport(pretender)) as http:
        yield Provider(http, pretender.clock, issuer=ISSUER, client_id="manatee", secret="s")


def test_what_it_says_of_itself_and_its_keys_are_kept(
    pretender: Pretender, provider: Provider
) -> None:
    assert [pretender.subject(provider) for _ in range(2)] == ["1", "1"]
    assert pretender.asked.count("/keys") == 1
    assert pretender.asked.count("/.well-known/openid-configuration") == 1
    assert pretender.forms[0]["code_verifier"] == pretender.asked_for.verifier
    assert pretender.forms[0]["client_secret"] == "s"


def test_new_keys_are_fetched_but_not_for_every_bad_token(
    pretender: Pretender, provider: Provider
) -> None:
    pretender.subject(provider)
    pretender.key = NEW
    with pytest.raises(AuthenticationError):
        pretender.subject(provider)  # the keys are a moment old
    assert pretender.asked.count("/keys") == 1
    pretender.clock.put_forward(61)
    assert pretender.subject(provider) == "1"
    assert pretender.asked.count("/keys") == 2


def test_a_provider_that_calls_itself_by_another_name_is_refused(
    pretender: Pretender, provider: Provider
) -> None:
    pretender.metadata["issuer"] = "https://evil.example"
    with pytest.raises(IdentityProviderError, match="another name"):
        pretender.subject(provider)


@pytest.mark.parametrize("url", ["http://id.example/token", "ftp://id.example", 7, None])
def test_secrets_go_by_https_alone(pretender: Pretender, provider: Provider, url: object) -> None:
    pretender.metadata["token_endpoint"] = url
    with pytest.raises(IdentityProviderError):
        pretender.subject(provider)
    assert pretender.forms == []


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(302, headers={"location": "https://evil.example"}, json={}),
        httpx.Response(500, json={}),
        httpx.Response(200, content=b"{"),
        httpx.Response(200, json=[]),
        httpx.Response(200, content=b" " * (2 << 20)),
    ],
    ids=["a redirect", "a failure", "no JSON", "no object", "without end"],
)
def test_an_answer_is_refused_that_is(
    pretender: Pretender, provider: Provider, answer: httpx.Response
) -> None:
    pretender.other = lambda _request: answer
    with pytest.raises(IdentityProviderError):
        pretender.subject(provider)


@pytest.mark.parametrize("keys", [None, [7], [{"kty": "RSA"}], [{"kty": "oct", "k": "c2VjcmV0"}]])
def test_keys_that_are_none_let_nobody_in(
    pretender: Pretender, provider: Provider, keys: object
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/keys":
            return httpx.Response(200, json={"keys": keys})
        pretender.other = None
        made = pretender(request)
        pretender.other = answer
        return made

    pretender.other = answer
    with pytest.raises((IdentityProviderError, AuthenticationError)):
        pretender.subject(provider)


def test_the_nonce_is_this_sign_ins(pretender: Pretender, provider: Provider) -> None:
    with pytest.raises(AuthenticationError, match="nonce"):
        provider.subject(Asked.fresh(), code="c", issuer=ISSUER, redirect_uri="https://x/")


def test_a_provider_without_device_flow_says_so(provider: Provider) -> None:
    with pytest.raises(IdentityProviderError, match="device_authorization_endpoint"):
        provider.start_device()


@pytest.mark.parametrize(("issuer", "client"), [("http://id.example", "manatee"), (ISSUER, "")])
def test_settings_that_are_not_safe_are_refused(issuer: str, client: str) -> None:
    with httpx.Client() as http, pytest.raises(SettingsError):
        Provider(http, SettableClock(), issuer=issuer, client_id=client)


def test_the_challenge_is_the_verifiers_digest() -> None:
    """The example of RFC 7636, appendix B."""
    asked = Asked("s", "n", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    assert asked.challenge == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
