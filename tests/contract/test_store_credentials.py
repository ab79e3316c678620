"""Several processes of the API on one database: what counts once, counts once over all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from argon2 import PasswordHasher

from manatee.errors import (
    AuthenticationError,
    ConflictError,
    NotFoundError,
    TooManyAttemptsError,
)
from manatee.identity import _passwords
from manatee.records import SecondFactor
from manatee.store import Store, open_store
from manatee.testing import SettableClock

PASSWORD = "seven red boats 7"


class Two:
    """Two processes' stores on one database."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.clock = SettableClock()
        self.stores = [
            open_store(folder, clock=self.clock, database_url=database_url) for _ in range(2)
        ]
        self.stores[0].accounts.add("alice", ["researcher"])
        self.stores[0].accounts.add("bob", ["researcher"])

    def set_up(self) -> SecondFactor:
        credentials = self.stores[0].credentials
        invitation = credentials.invite("alice")
        factor = credentials.redeem("alice", invitation, PASSWORD, address="192.0.2.1")
        self.clock.put_forward(600)
        return factor

    def code(self, factor: SecondFactor) -> str:
        secret = parse_qs(urlsplit(factor.totp_uri).query)["secret"][0]
        return pyotp.TOTP(secret).at(self.clock())

    def at_once(self, act: Callable[[Store, str], object], times: int = 4) -> list[bool]:
        """Do it in both processes at once, from different addresses; returns what succeeded."""

        def one(number: int) -> bool:
            try:
                act(self.stores[number % 2], f"192.0.2.{10 + number}")
            except AuthenticationError:
                return False
            return True

        with ThreadPoolExecutor(times) as pool:
            return list(pool.map(one, range(times)))


@pytest.fixture
def two(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Two]:
    cheap = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)
    monkeypatch.setattr(_passwords, "_HASHER", cheap)
    made = Two(tmp_path, database_url)
    yield made
    for store in made.stores:
        store.close()


def test_one_code_signs_in_once_however_many_try_at_once(two: Two) -> None:
    code = two.code(two.set_up())
    succeeded = two.at_once(
        lambda store, address: store.credentials.sign_in("alice", PASSWORD, code, address=address)
    )
    assert sum(succeeded) == 1


def test_one_recovery_code_signs_in_once_however_many_try_at_once(two: Two) -> None:
    code = two.set_up().recovery_codes[0]
    succeeded = two.at_once(
        lambda store, address: store.credentials.sign_in("alice", PASSWORD, code, address=address)
    )
    assert sum(succeeded) == 1


def test_one_invitation_is_taken_up_once_however_many_try_at_once(two: Two) -> None:
    code = two.stores[0].credentials.invite("alice")
    succeeded = two.at_once(
        lambda store, address: store.credentials.redeem("alice", code, PASSWORD, address=address)
    )
    assert sum(succeeded) == 1


def test_one_handle_is_taken_up_once_however_many_try_at_once(two: Two) -> None:
    handle = two.stores[0].flows.begin("oidc", "asked", life=timedelta(minutes=1))
    assert sum(two.at_once(lambda store, _: store.flows.take("oidc", handle))) == 1


def test_processes_share_one_rate(two: Two) -> None:
    for number in range(5):
        two.stores[number % 2].credentials.attempt(f"192.0.2.{number}", "alice")
    for store in two.stores:
        with pytest.raises(TooManyAttemptsError) as raised:
            store.credentials.attempt("192.0.2.99", "alice")
        assert 1 <= raised.value.retry_seconds <= 30
    two.stores[1].credentials.attempt("192.0.2.99", "bob")


def test_a_refused_attempt_makes_nobody_wait_longer(two: Two) -> None:
    credentials = two.stores[0].credentials
    for _ in range(5):
        credentials.attempt("192.0.2.1", "alice")
    for _ in range(50):
        with pytest.raises(TooManyAttemptsError):
            credentials.attempt("192.0.2.1", "alice")
    two.clock.put_forward(30)
    credentials.attempt("192.0.2.1", "alice")


def test_a_subject_is_one_persons_and_an_issuers(two: Two) -> None:
    links = two.stores[0].links
    links.link("alice", "https://id.example", "1")
    links.link("alice", "https://id.example", "1")
    with pytest.raises(ConflictError):
        links.link("bob", "https://id.example", "1")
    with pytest.raises(AuthenticationError):
        links.sign_in("https://evil.example", "1")
    with pytest.raises(NotFoundError):
        links.link("nobody", "https://id.example", "2")
    made = links.sign_in("https://id.example", "1")
    assert two.stores[1].accounts.authenticate(made.token).name == "alice"


def test_an_invitation_is_used_up_with_the_link_or_not_at_all(two: Two) -> None:
    store = two.stores[0]
    store.links.link("alice", "https://id.example", "1")
    code = store.credentials.invite("bob")
    with pytest.raises(ConflictError):
        store.links.sign_in("https://id.example", "1", name="bob", invitation=code)
    made = store.links.sign_in("https://id.example", "2", name="bob", invitation=code)
    assert store.accounts.authenticate(made.token).name == "bob"


def test_nobody_is_invited_who_is_not_there(two: Two) -> None:
    with pytest.raises(NotFoundError):
        two.stores[0].credentials.invite("nobody")
