"""Passwords with a second factor over HTTP, and those who try without."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pyotp
import pytest
from argon2 import PasswordHasher

from manatee.api import create_app, serve_in_thread
from manatee.identity import _passwords
from manatee.records import canonical_json
from manatee.store import _credentials
from manatee.testing import ControlPlane
from manatee.testing._control_plane import RUNTIME

PASSWORD = "seven red boats 7"
REFUSED = "you could not be signed in."


class Door:
    """A service, and a person who has set up signing in."""

    def __init__(self, plane: ControlPlane, url: str) -> None:
        self.plane, self.clock = plane, plane.clock
        self.http = httpx.Client(base_url=url, trust_env=False, timeout=30)

    def post(self, path: str, body: object, address: str = "192.0.2.1") -> httpx.Response:
        headers = {"content-type": "application/json", "x-forwarded-for": address}
        return self.http.post(path, content=canonical_json(body), headers=headers)

    def redeem(
        self, invitation: str, name: str = "alice", password: str = PASSWORD, **more: Any
    ) -> httpx.Response:
        body = {"name": name, "invitation": invitation, "password": password}
        return self.post("/v1/sign-in/invitation", body, **more)

    def set_up(self, name: str = "alice") -> dict[str, Any]:
        answer = self.redeem(self.plane.store.credentials.invite(name), name)
        assert answer.status_code == 200, answer.text
        self.clock.put_forward(600)  # the attempts are free again
        factor: dict[str, Any] = answer.json()
        return factor

    def code(self, factor: dict[str, Any]) -> str:
        secret = parse_qs(urlsplit(factor["totp_uri"]).query)["secret"][0]
        return pyotp.TOTP(secret).at(self.clock())

    def sign_in(
        self, code: str, name: str = "alice", password: str = PASSWORD, **more: Any
    ) -> httpx.Response:
        address = more.pop("address", "192.0.2.1")
        body = {"name": name, "password": password, "code": code} | more
        return self.post("/v1/sign-in", body, address)

    def whoami(self, token: str) -> httpx.Response:
        return self.http.get("/v1/whoami", headers={"authorization": f"Bearer {token}"})


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    cheap = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)
    monkeypatch.setattr(_passwords, "_HASHER", cheap)
    # made once, with the parameters of whoever asked first: other tests have others
    _passwords._nobodys_hash.cache_clear()
    yield
    _passwords._nobodys_hash.cache_clear()


@pytest.fixture
def door(tmp_path: Path, database_url: str) -> Iterator[Door]:
    plane = ControlPlane(tmp_path, database_url=database_url)
    app = create_app(plane.store, plane.settings, plane.clock, runtimes=[RUNTIME])
    with serve_in_thread(app) as url:
        made = Door(plane, url)
        yield made
        made.http.close()
    plane.store.close()


def test_an_invited_person_sets_a_password_and_signs_in(door: Door) -> None:
    factor = door.set_up()
    answer = door.sign_in(door.code(factor))
    assert answer.status_code == 200, answer.text
    assert door.whoami(answer.json()["token"]).json()["name"] == "alice"
    door.clock.put_forward(12 * 3600 + 1)
    assert door.whoami(answer.json()["token"]).status_code == 401


def test_a_sign_in_may_ask_for_less(door: Door) -> None:
    factor = door.set_up()
    answer = door.sign_in(door.code(factor), scopes=["read"])
    assert answer.json()["entry"]["scopes"] == ["read"]


def test_an_invitation_counts_once(door: Door) -> None:
    invitation = door.plane.store.credentials.invite("alice")
    assert door.redeem(invitation).status_code == 200
    again = door.redeem(invitation)
    assert again.status_code == 401
    assert "invitation" in again.json()["detail"]


def test_an_invitation_ends_after_a_day_and_is_for_one_account(door: Door) -> None:
    credentials = door.plane.store.credentials
    credentials.invite("bob")
    assert door.redeem(credentials.invite("alice"), "bob").status_code == 401
    late = credentials.invite("alice")
    door.clock.put_forward(24 * 3600 + 1)
    assert door.redeem(late).status_code == 401


def test_a_newer_invitation_ends_the_older(door: Door) -> None:
    older, newer = (door.plane.store.credentials.invite("alice") for _ in range(2))
    assert door.redeem(older).status_code == 401
    assert door.redeem(newer).status_code == 200


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaaaaaa", "i am Alice, hello"])
def test_a_password_that_is_guessed_first_is_refused_and_the_invitation_stays(
    door: Door, password: str
) -> None:
    invitation = door.plane.store.credentials.invite("alice")
    refused = door.redeem(invitation, password=password)
    assert refused.json()["code"] == "malformed"
    assert password not in refused.text
    assert door.redeem(invitation).status_code == 200


def test_setting_a_password_ends_every_token_and_the_older_factor(door: Door) -> None:
    older = door.set_up()
    token = door.sign_in(door.code(older)).json()["token"]
    newer = door.set_up()
    assert door.whoami(token).status_code == 401
    assert door.sign_in(door.code(older)).status_code == 401
    assert door.sign_in(older["recovery_codes"][0]).status_code == 401
    assert door.sign_in(door.code(newer)).status_code == 200


def test_a_replayed_code_is_refused(door: Door) -> None:
    factor = door.set_up()
    code = door.code(factor)
    assert door.sign_in(code).status_code == 200
    assert door.sign_in(code).status_code == 401
    door.clock.put_forward(30)  # the drift that is allowed would let it in
    assert door.sign_in(code).status_code == 401
    assert door.sign_in(door.code(factor)).status_code == 200


def test_a_code_older_than_the_last_one_is_refused(door: Door) -> None:
    factor = door.set_up()
    older = door.code(factor)
    door.clock.put_forward(30)
    assert door.sign_in(door.code(factor)).status_code == 200
    assert door.sign_in(older).status_code == 401


@pytest.mark.parametrize(("seconds", "status"), [(30, 200), (-30, 200), (90, 401), (-90, 401)])
def test_an_app_whose_clock_is_half_a_minute_off_still_works(
    door: Door, seconds: int, status: int
) -> None:
    factor = door.set_up()
    code = door.code(factor)
    door.clock.put_forward(seconds)
    assert door.sign_in(code).status_code == status


def test_a_recovery_code_counts_once(door: Door) -> None:
    factor = door.set_up()
    code = factor["recovery_codes"][3]
    assert door.sign_in(code).status_code == 200
    assert door.sign_in(code).status_code == 401
    assert door.sign_in(factor["recovery_codes"][4].upper()).status_code == 200


def test_one_factor_alone_is_not_enough(door: Door) -> None:
    factor = door.set_up()
    assert door.sign_in(door.code(factor), password="seven red boats 8").status_code == 401
    assert door.sign_in("000000").status_code == 401
    assert door.sign_in(door.code(factor)).status_code == 200  # a wrong password spent no code


def test_unknown_names_get_the_same_answer_for_the_same_work(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    factor = door.set_up()
    work: list[str] = []
    for module, name in (
        (_credentials, "password_matches"),
        (_credentials, "totp_step"),
        (_credentials, "take_attempt"),
    ):
        real = getattr(module, name)

        def counted(*args: Any, _real: Any = real, _name: str = name, **more: Any) -> Any:
            work.append(_name)
            return _real(*args, **more)

        monkeypatch.setattr(module, name, counted)
    verified: list[str] = []
    real_verify = PasswordHasher.verify

    def verify(self: PasswordHasher, kept: str, password: str) -> bool:
        verified.append(kept.rsplit("$", 2)[0])  # algorithm and parameters
        return real_verify(self, kept, password)

    monkeypatch.setattr(PasswordHasher, "verify", verify)
    tries = (
        {"name": "nobody-at-all", "code": "000000"},
        {"name": "bob", "code": "000000"},  # an account without a password
        {"name": "alice", "code": door.code(factor), "password": "seven red boats 8"},
        {"name": "alice", "code": "000000"},
    )
    answers = []
    for attempt in tries:
        work.clear()
        verified.clear()
        answer = door.sign_in(**attempt)
        answers.append((answer.status_code, answer.json(), tuple(work), tuple(verified)))
    assert answers == [answers[0]] * len(tries)
    assert answers[0][1]["detail"] == REFUSED
    assert len(answers[0][3]) == 1  # the same hash with the same parameters


def test_guessing_is_slowed_down_by_account_and_ends_by_itself(door: Door) -> None:
    factor = door.set_up()
    statuses = [
        door.sign_in("000000", address=f"198.51.100.{number}").status_code for number in range(7)
    ]
    assert statuses == [401] * 5 + [429] * 2
    blocked = door.sign_in(door.code(factor), address="203.0.113.9")
    assert blocked.status_code == 429
    assert 1 <= int(blocked.headers["retry-after"]) <= 30
    door.clock.put_forward(int(blocked.headers["retry-after"]))
    assert door.sign_in(door.code(factor), address="203.0.113.9").status_code == 200


def test_names_without_an_account_are_slowed_down_just_the_same(door: Door) -> None:
    statuses = [
        door.sign_in("0", "nobody", address=f"198.51.100.{number}").status_code
        for number in range(6)
    ]
    assert statuses == [401] * 5 + [429]


def test_a_stranger_who_guesses_does_not_lock_the_owner_out(door: Door) -> None:
    factor = door.set_up()
    token = door.sign_in(door.code(factor), address="192.0.2.77").json()["token"]
    for number in range(8):
        door.sign_in("000000", address=f"198.51.100.{number}")
    assert door.sign_in("000000", address="198.51.100.99").status_code == 429
    assert door.whoami(token).status_code == 200
    door.clock.put_forward(30)
    door.sign_in("000000", address="198.51.100.99")
    assert door.sign_in(door.code(factor), address="192.0.2.77").status_code == 200


def test_one_address_does_not_try_many_names(door: Door) -> None:
    # the rate gives one more every three seconds: a slow machine gets past twenty
    statuses = [door.sign_in("0", f"name{number}").status_code for number in range(80)]
    assert statuses[:20] == [401] * 20
    assert 429 in statuses[20:]
    assert door.sign_in("0", "another", address="192.0.2.2").status_code == 401


def test_one_ipv6_network_is_one_address(door: Door) -> None:
    statuses = [
        door.sign_in("0", f"name{number}", address=f"2001:db8::{number:x}").status_code
        for number in range(80)
    ]
    assert statuses[:20] == [401] * 20
    assert 429 in statuses[20:]


def test_invitations_are_not_guessed_either(door: Door) -> None:
    door.plane.store.credentials.invite("alice")
    statuses = [door.redeem(f"guess {number}").status_code for number in range(6)]
    assert statuses == [401] * 5 + [429]


def test_a_strangers_body_is_small(door: Door) -> None:
    answer = door.post("/v1/sign-in", {"name": "a" * 100_000})
    assert answer.status_code == 413


def test_passwords_are_hashed_again_when_parameters_rise(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    factor = door.set_up()
    dearer = PasswordHasher(time_cost=2, memory_cost=2048, parallelism=1)
    monkeypatch.setattr(_passwords, "_HASHER", dearer)
    assert door.sign_in(door.code(factor)).status_code == 200
    with door.plane.store.database.read() as session:
        row = session.get(_credentials.PasswordRow, "alice")
        assert row is not None
        assert "m=2048,t=2" in row.password_hash


def test_nothing_that_signs_in_is_in_the_database(door: Door, tmp_path: Path) -> None:
    factor = door.set_up()
    token = door.sign_in(door.code(factor)).json()["token"]
    secrets = [
        PASSWORD,
        token,
        *factor["recovery_codes"],
        door.plane.store.credentials.invite("bob"),
    ]
    for file in tmp_path.glob("manatee.db*"):
        content = file.read_bytes()
        assert not [secret for secret in secrets if secret.encode() in content]
