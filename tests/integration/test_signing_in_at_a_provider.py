"""Signing in at a real OpenID Connect provider, and answers that somebody else slips in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from manatee.api import create_app, serve_in_thread
from manatee.records import canonical_json
from manatee.testing import ControlPlane
from manatee.testing._control_plane import RUNTIME

from ._oidc_provider import SECRET, confirm, oidc_provider


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with oidc_provider() as url:
        yield url


class Door:
    def __init__(self, plane: ControlPlane, url: str, issuer: str) -> None:
        self.plane, self.issuer = plane, issuer
        self.http = httpx.Client(base_url=url, trust_env=False, timeout=20)

    def post(self, path: str, body: object = None) -> httpx.Response:
        return self.http.post(
            f"/v1/sign-in/{path}",
            content=b"" if body is None else canonical_json(body),
            headers={"content-type": "application/json"},
        )

    def begin(self) -> dict[str, Any]:
        answer = self.post("provider")
        assert answer.status_code == 200, answer.text
        begun: dict[str, Any] = answer.json()
        return begun

    def finish(self, flow: str, returned: dict[str, str], **more: str) -> httpx.Response:
        body = {"flow": flow, "code": returned["code"], "state": returned["state"]}
        if "iss" in returned:
            body["issuer"] = returned["iss"]
        return self.post("provider/return", body | more)

    def whoami(self, answer: httpx.Response) -> str:
        assert answer.status_code == 200, answer.text
        token = answer.json()["token"]
        shown = self.http.get("/v1/whoami", headers={"authorization": f"Bearer {token}"})
        return str(shown.json()["name"])


@pytest.fixture
def door(tmp_path: Path, issuer: str) -> Iterator[Door]:
    plane = ControlPlane(tmp_path)
    secret = tmp_path / "client-secret"
    secret.write_text(SECRET + "\n")
    settings = replace(
        plane.settings,
        public_url="http://127.0.0.1:9",
        oidc_issuer=issuer,
        oidc_client_id="manatee",
        oidc_client_secret_file=str(secret),
    )
    app = create_app(plane.store, settings, plane.clock, runtimes=[RUNTIME])
    with serve_in_thread(app) as url:
        made = Door(plane, url, issuer)
        yield made
        made.http.close()
    plane.store.close()


def test_a_linked_person_signs_in_by_browser(door: Door) -> None:
    door.plane.store.links.link("alice", door.issuer, "subject-of-alice")
    begun = door.begin()
    returned = confirm(begun["url"], "subject-of-alice")
    assert door.whoami(door.finish(begun["flow"], returned)) == "alice"


def test_an_invitation_links_an_account_once_and_for_later(door: Door) -> None:
    invitation = door.plane.store.credentials.invite("bob")
    begun = door.begin()
    returned = confirm(begun["url"], "bobs-subject")
    assert door.whoami(door.finish(begun["flow"], returned, name="bob", invitation=invitation))
    again = door.begin()
    returned = confirm(again["url"], "bobs-subject")
    assert door.whoami(door.finish(again["flow"], returned)) == "bob"
    stranger = door.begin()
    returned = confirm(stranger["url"], "a-strangers-subject")
    refused = door.finish(stranger["flow"], returned, name="bob", invitation=invitation)
    assert refused.status_code == 401


def test_a_name_or_an_address_alone_links_nobody(door: Door) -> None:
    begun = door.begin()
    returned = confirm(begun["url"], "alice")  # the subject has the name of an account
    refused = door.finish(begun["flow"], returned, name="alice")
    assert refused.status_code == 401
    assert "linked" in refused.json()["detail"]


def test_a_replayed_return_is_refused(door: Door) -> None:
    door.plane.store.links.link("alice", door.issuer, "subject-of-alice")
    begun = door.begin()
    returned = confirm(begun["url"], "subject-of-alice")
    assert door.finish(begun["flow"], returned).status_code == 200
    assert door.finish(begun["flow"], returned).status_code == 401


def test_a_replayed_code_is_refused_by_another_flow_too(door: Door) -> None:
    door.plane.store.links.link("alice", door.issuer, "subject-of-alice")
    begun = door.begin()
    returned = confirm(begun["url"], "subject-of-alice")
    assert door.finish(begun["flow"], returned).status_code == 200
    another = door.begin()
    state = dict(httpx.URL(another["url"]).params)["state"]
    assert door.finish(another["flow"], returned | {"state": state}).status_code == 401


def test_a_swapped_state_is_refused(door: Door) -> None:
    """An attacker's answer is slipped into the browser of somebody who is signing in."""
    door.plane.store.links.link("bob", door.issuer, "attackers-subject")
    victim, attacker = door.begin(), door.begin()
    returned = confirm(attacker["url"], "attackers-subject")
    refused = door.finish(victim["flow"], returned)
    assert refused.status_code == 401
    assert "another sign-in" in refused.json()["detail"]


def test_a_code_of_another_sign_in_is_refused_even_with_the_right_state(door: Door) -> None:
    """PKCE and the nonce: the code was given for another verifier."""
    door.plane.store.links.link("bob", door.issuer, "attackers-subject")
    victim, attacker = door.begin(), door.begin()
    returned = confirm(attacker["url"], "attackers-subject")
    state = dict(httpx.URL(victim["url"]).params)["state"]
    assert door.finish(victim["flow"], returned | {"state": state}).status_code == 401


def test_an_answer_of_another_issuer_is_refused(door: Door) -> None:
    """Mix-up: the redirect says that it comes from elsewhere."""
    door.plane.store.links.link("alice", door.issuer, "subject-of-alice")
    for issuer in ("https://evil.example", ""):
        begun = door.begin()
        returned = confirm(begun["url"], "subject-of-alice")
        refused = door.finish(begun["flow"], returned | {"iss": issuer})
        assert refused.status_code == 401
        assert "another identity provider" in refused.json()["detail"]


def test_a_flow_ends_after_ten_minutes(door: Door) -> None:
    begun = door.begin()
    returned = confirm(begun["url"], "subject-of-alice")
    door.plane.clock.put_forward(601)
    assert "over" in door.finish(begun["flow"], returned).json()["detail"]


def test_a_flow_of_one_kind_is_none_of_another(door: Door) -> None:
    device = door.post("device").json()
    refused = door.finish(device["flow"], {"code": "x", "state": "y"})
    assert "over" in refused.json()["detail"]


def test_a_person_signs_in_on_a_terminal_by_device_flow(door: Door) -> None:
    door.plane.store.links.link("alice", door.issuer, "subject-of-alice")
    begun = door.post("device").json()
    waiting = door.post("device/poll", {"flow": begun["flow"]})
    assert waiting.status_code == 200, waiting.text
    assert waiting.json().get("token") is None
    page = confirm(begun["url"], "subject-of-alice")
    assert "page" in page
    done = door.post("device/poll", {"flow": begun["flow"]}).json()
    headers = {"authorization": f"Bearer {done['token']['token']}"}
    assert door.http.get("/v1/whoami", headers=headers).json()["name"] == "alice"
    assert door.post("device/poll", {"flow": begun["flow"]}).status_code == 401


def test_an_unknown_handle_polls_nothing(door: Door) -> None:
    assert door.post("device/poll", {"flow": "guessed"}).status_code == 401


def test_an_unlinked_person_loses_tokens_and_the_way_in(door: Door) -> None:
    door.plane.store.links.link("alice", door.issuer, "subject-of-alice")
    begun = door.begin()
    made = door.finish(begun["flow"], confirm(begun["url"], "subject-of-alice"))
    door.plane.store.links.unlink("alice")
    headers = {"authorization": f"Bearer {made.json()['token']}"}
    assert door.http.get("/v1/whoami", headers=headers).status_code == 401
    begun = door.begin()
    returned = confirm(begun["url"], "subject-of-alice")
    assert door.finish(begun["flow"], returned).status_code == 401


def test_a_provider_that_is_away_is_an_error_of_the_moment(tmp_path: Path) -> None:
    plane = ControlPlane(tmp_path)
    settings = replace(
        plane.settings,
        public_url="http://127.0.0.1:9",
        oidc_issuer="http://127.0.0.1:9",
        oidc_client_id="manatee",
    )
    app = create_app(plane.store, settings, plane.clock, runtimes=[RUNTIME])
    with serve_in_thread(app) as url:
        answer = httpx.post(f"{url}/v1/sign-in/provider", trust_env=False)
    plane.store.close()
    assert (answer.status_code, answer.json()["code"]) == (503, "identity-provider")
    assert "retry-after" in answer.headers
