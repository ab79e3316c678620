"""Tokens of a hub beside tokens of the service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from manatee.api._hub_identity import account_of, hub_of
from manatee.errors import AuthenticationError, IdentityProviderError, SettingsError
from manatee.identity import Hub
from manatee.settings import Settings
from manatee.testing import ControlPlane

URL = "https://hub.example/hub/api"
TOKEN = "a-token-of-the-hub-0123456789"  # made up


class Asked(httpx.BaseTransport):
    """A hub that knows one token, or is away."""

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.away = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.tokens.append(request.headers["authorization"])
        if self.away:
            raise httpx.ConnectError("away", request=request)
        body = {
            "kind": "user",
            "name": "a.smith",
            "scopes": ["access:services!service=manatee"],
        }
        return httpx.Response(200, content=json.dumps(body).encode())


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[ControlPlane]:
    made = ControlPlane(tmp_path)
    yield made
    made.store.close()


def hub(plane: ControlPlane, asked: Asked) -> Hub:
    return Hub(httpx.Client(transport=asked), plane.clock, api_url=URL, service="manatee")


def test_the_services_own_tokens_are_never_shown_to_the_hub(plane: ControlPlane) -> None:
    asked = Asked()
    found = account_of(plane.store, hub(plane, asked), plane.tokens["alice"])
    assert found.name == "alice"
    with pytest.raises(AuthenticationError):
        account_of(plane.store, hub(plane, asked), plane.tokens["alice"] + "x")
    assert asked.tokens == []


def test_own_tokens_go_on_working_while_the_hub_is_away(plane: ControlPlane) -> None:
    asked = Asked()
    asked.away = True
    plane.store.links.link("alice", URL, "a.smith")
    with pytest.raises(IdentityProviderError):
        account_of(plane.store, hub(plane, asked), TOKEN)
    assert account_of(plane.store, hub(plane, asked), plane.tokens["bob"]).name == "bob"


def test_a_provider_at_the_hub_may_not_approve_or_publish_from_there(plane: ControlPlane) -> None:
    plane.store.links.link("hospital", URL, "a.smith")
    found = account_of(plane.store, hub(plane, Asked()), TOKEN)
    assert found.name == "hospital"
    assert found.scopes == {"read", "submit"}


def test_whoever_was_unlinked_is_a_stranger_at_once(plane: ControlPlane) -> None:
    known = hub(plane, Asked())
    plane.store.links.link("alice", URL, "a.smith")
    assert account_of(plane.store, known, TOKEN).name == "alice"
    plane.store.links.unlink("alice")
    with pytest.raises(AuthenticationError, match="no account is linked"):
        account_of(plane.store, known, TOKEN)


def test_a_hubs_token_means_nothing_without_a_hub(plane: ControlPlane) -> None:
    assert hub_of(plane.settings, plane.clock) is None
    with pytest.raises(AuthenticationError):
        account_of(plane.store, None, TOKEN)


def test_a_hub_needs_a_name_for_the_service_and_a_safe_address(plane: ControlPlane) -> None:
    for settings in (
        replace(Settings(), hub_api_url=URL, hub_service=""),
        replace(Settings(), hub_api_url="http://hub.example/hub/api"),
    ):
        with pytest.raises(SettingsError):
            hub_of(settings, plane.clock)
    made = hub_of(replace(Settings(), hub_api_url=URL), plane.clock)
    assert made is not None
    assert made.api_url == URL
