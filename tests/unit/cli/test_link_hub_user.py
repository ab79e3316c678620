"""The operator says which of a hub's users acts as which account."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from manatee._clock import system_clock
from manatee.cli._accounts import add_account, link_hub_user
from manatee.errors import AuthenticationError, ConflictError, NotFoundError, SettingsError
from manatee.settings import Settings
from manatee.store import open_store

HUB = "https://hub.example/hub/api"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    for name in ("alice", "bob"):
        add_account(tmp_path, name, ("researcher",), life=timedelta(days=1))
    return replace(Settings(), home=tmp_path, hub_api_url=HUB + "/")


def who(settings: Settings, hub: str, user: str) -> str:
    store = open_store(settings.home, clock=system_clock)
    try:
        until = system_clock() + timedelta(seconds=30)
        found = store.links.account(hub, user, expires_at=until, scopes=frozenset({"read"}))
        assert found.scopes == {"read"}
        assert found.expires_at == until
        return found.name
    finally:
        store.close()


def test_a_linked_user_acts_as_the_account_and_nobody_else_does(settings: Settings) -> None:
    link_hub_user(settings, "alice", "a.smith")
    link_hub_user(settings, "alice", "a.smith")
    assert who(settings, HUB, "a.smith") == "alice"
    for hub, user in ((HUB, "alice"), ("https://other.example/hub/api", "a.smith")):
        with pytest.raises(AuthenticationError):
            who(settings, hub, user)


def test_a_user_acts_as_one_account_only(settings: Settings) -> None:
    link_hub_user(settings, "alice", "a.smith")
    with pytest.raises(ConflictError):
        link_hub_user(settings, "bob", "a.smith")


def test_nothing_is_linked_without_an_account_or_a_hub(settings: Settings) -> None:
    with pytest.raises(NotFoundError):
        link_hub_user(settings, "carol", "c")
    with pytest.raises(SettingsError):
        link_hub_user(replace(settings, hub_api_url=""), "alice", "a.smith")
