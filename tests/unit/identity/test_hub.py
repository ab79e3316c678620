"""What a hub says of a token, and what it may not say."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from manatee.errors import AuthenticationError, IdentityProviderError, SettingsError
from manatee.identity import Hub

TOKEN = "a-token-of-the-hub-0123456789"  # made up
GOOD: dict[str, Any] = {
    "kind": "user",
    "name": "alice",
    "scopes": ["access:services!service=manatee"],
}
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class FakeHub:
    """Answers as a hub does; counts how often it is asked."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response]) -> None:
        self.asked: list[httpx.Request] = []
        self.now = NOW
        self.hub = Hub(
            httpx.Client(transport=httpx.MockTransport(self._take)),
            lambda: self.now,
            api_url="https://hub.example/hub/api/",
            service="manatee",
        )
        self._answer = answer

    def _take(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return self._answer(request)


def says(body: object, status: int = 200) -> FakeHub:
    return FakeHub(lambda _request: httpx.Response(status, content=json.dumps(body).encode()))


def test_a_person_is_known_by_the_token_and_asked_for_once() -> None:
    fake = says(GOOD)
    assert fake.hub.user(TOKEN).name == "alice"
    assert fake.hub.user(TOKEN).until == NOW + timedelta(seconds=30)
    (request,) = fake.asked
    assert str(request.url) == "https://hub.example/hub/api/user"
    assert request.headers["authorization"] == f"token {TOKEN}"
    fake.now += timedelta(seconds=30)
    fake.hub.user(TOKEN)
    assert len(fake.asked) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "service"},
        {"scopes": []},
        {"scopes": ["access:services!service=other"]},
        {"scopes": ["access:services!service=manatee2"]},
        {"scopes": ["access:servers!user=alice"]},
    ],
)
def test_a_token_that_is_no_persons_or_for_something_else_is_refused(
    change: dict[str, Any],
) -> None:
    fake = says(GOOD | change)
    for _ in range(2):
        with pytest.raises(AuthenticationError):
            fake.hub.user(TOKEN)
    assert len(fake.asked) == 2  # a refusal is never kept


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_the_hub_does_not_know_is_refused(status: int) -> None:
    with pytest.raises(AuthenticationError):
        says(GOOD, status).hub.user(TOKEN)


@pytest.mark.parametrize("status", [201, 302, 404, 429, 500, 503])
def test_a_hub_in_trouble_lets_nobody_in_and_says_so(status: int) -> None:
    with pytest.raises(IdentityProviderError):
        says(GOOD, status).hub.user(TOKEN)


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        GOOD | {"name": None},
        GOOD | {"name": 3},
        GOOD | {"scopes": "access:services!service=manatee"},
        {"kind": "user", "name": "alice"},
    ],
)
def test_an_answer_of_another_form_lets_nobody_in(body: object) -> None:
    with pytest.raises(IdentityProviderError):
        says(body).hub.user(TOKEN)


def test_an_endless_or_broken_answer_lets_nobody_in() -> None:
    with pytest.raises(IdentityProviderError, match="too long"):
        says(GOOD | {"more": "x" * (1 << 20)}).hub.user(TOKEN)
    broken = FakeHub(lambda _request: httpx.Response(200, content=b'{"kind": "user", '))
    with pytest.raises(IdentityProviderError, match="JSON"):
        broken.hub.user(TOKEN)


def test_a_hub_that_is_away_lets_nobody_in() -> None:
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no", request=request)

    with pytest.raises(IdentityProviderError, match="does not answer"):
        FakeHub(away).hub.user(TOKEN)


@pytest.mark.parametrize("token", ["", "short", "a" * 257, "with space in the token", "ümlaut" * 5])
def test_what_cannot_be_a_token_is_not_shown_to_the_hub(token: str) -> None:
    fake = says(GOOD)
    with pytest.raises(AuthenticationError):
        fake.hub.user(token)
    assert fake.asked == []


@pytest.mark.parametrize("url", ["http://hub.example/hub/api", "ftp://127.0.0.1", "hub.example"])
def test_tokens_are_never_sent_in_the_clear(url: str) -> None:
    with pytest.raises(SettingsError, match="https"):
        Hub(httpx.Client(), lambda: NOW, api_url=url, service="manatee")


def test_a_service_needs_a_name() -> None:
    with pytest.raises(SettingsError, match="hub_service"):
        Hub(httpx.Client(), lambda: NOW, api_url="https://hub.example/hub/api", service="")
