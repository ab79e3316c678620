"""Once an account is disabled nobody acts as it, whatever they hold; on both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from sqlalchemy import text

from manatee.errors import AuthenticationError, NotFoundError
from manatee.identity import Passkey
from manatee.rights import ALL_SCOPES
from manatee.store import AuditQuery, Store, open_store
from manatee.testing import SettableClock

PASSWORD = "seven red boats 7"
ISSUER = "https://provider.example"


class House:
    """One store with one person who has every way in."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.clock = SettableClock()
        self.store: Store = open_store(folder, clock=self.clock, database_url=database_url)
        self.store.accounts.add("alice", ["researcher"])
        invitation = self.store.credentials.invite("alice")
        factor = self.store.credentials.redeem("alice", invitation, PASSWORD, address="192.0.2.1")
        self.secret = parse_qs(urlsplit(factor.totp_uri).query)["secret"][0]
        self.store.links.link("alice", ISSUER, "subject")
        self.store.passkeys.add("alice", Passkey("id-of-it", b"key", 0), label="key ring")
        self.clock.put_forward(600)

    def by_password(self) -> object:
        self.clock.put_forward(60)
        code = pyotp.TOTP(self.secret).at(self.clock())
        return self.store.credentials.sign_in("alice", PASSWORD, code, address="192.0.2.1")

    def by_provider(self) -> object:
        return self.store.links.sign_in(ISSUER, "subject")

    def by_passkey(self) -> object:
        return self.store.passkeys.sign_in("id-of-it", lambda _: 1)

    def by_hub(self) -> object:
        later = self.clock() + timedelta(hours=1)
        return self.store.links.account(ISSUER, "subject", expires_at=later, scopes=ALL_SCOPES)

    def by_a_new_token(self) -> object:
        later = self.clock() + timedelta(hours=1)
        return self.store.accounts.issue_token("alice", expires_at=later)


WAYS: dict[str, Callable[[House], object]] = {
    "password": House.by_password,
    "provider": House.by_provider,
    "passkey": House.by_passkey,
    "hub": House.by_hub,
    "new token": House.by_a_new_token,
}


@pytest.fixture
def house(tmp_path: Path, database_url: str) -> Iterator[House]:
    made = House(tmp_path, database_url)
    yield made
    made.store.close()


def test_no_way_in_is_left_and_all_are_back_once_it_is_enabled(house: House) -> None:
    for name, way in WAYS.items():
        assert way(house), name
    house.store.accounts.disable("alice")
    for name, way in WAYS.items():
        with pytest.raises(AuthenticationError, match="disabled"):
            print(name, way(house))
    house.store.accounts.enable("alice")
    for name, way in WAYS.items():
        assert way(house), name


def test_tokens_of_before_end_and_do_not_come_back(house: House) -> None:
    token = str(house.by_a_new_token())
    house.store.accounts.disable("alice")
    with pytest.raises(AuthenticationError):
        house.store.accounts.authenticate(token)
    house.store.accounts.enable("alice")
    with pytest.raises(AuthenticationError):
        house.store.accounts.authenticate(token)


def test_a_token_that_slipped_through_is_refused(house: House) -> None:
    token = str(house.by_a_new_token())
    with house.store.database.connection() as connection:
        connection.execute(text("UPDATE accounts SET disabled = true WHERE name = 'alice'"))
    with pytest.raises(AuthenticationError, match="disabled"):
        house.store.accounts.authenticate(token)


def test_both_stand_in_the_audit_trail_once(house: House) -> None:
    for _ in range(2):
        house.store.accounts.disable("alice", by="olga")
    house.store.accounts.enable("alice")
    events = house.store.audit.page(AuditQuery(person="alice"), limit=500)
    said = [(event.actor, event.action) for event in events if "abled" in event.action]
    assert said == [("olga", "account-disabled"), ("local-operator", "account-enabled")]
    assert house.store.accounts.states() == [("alice", "alice", False)]


def test_nobody_unknown_is_disabled(house: House) -> None:
    for act in (house.store.accounts.disable, house.store.accounts.enable):
        with pytest.raises(NotFoundError):
            act("nobody")
