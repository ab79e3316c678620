"""Passkeys over HTTP: with an authenticator in software, and with the one of a real browser."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from manatee.api import create_app, serve_in_thread
from manatee.records import canonical_json
from manatee.testing import ControlPlane
from manatee.testing._control_plane import RUNTIME

from ._authenticator import PRESENT, VERIFIED, Authenticator

CHROMIUM = "/usr/bin/chromium"


class Door:
    def __init__(self, plane: ControlPlane, url: str, origin: str) -> None:
        self.plane, self.origin = plane, origin
        self.http = httpx.Client(base_url=url, trust_env=False, timeout=20)

    def post(self, path: str, body: object = None, who: str = "") -> httpx.Response:
        headers = {"content-type": "application/json"}
        if who:
            headers["authorization"] = f"Bearer {self.plane.tokens[who]}"
        content = b"" if body is None else canonical_json(body)
        return self.http.post(f"/v1/{path}", content=content, headers=headers)

    def authenticator(self, **changes: Any) -> Authenticator:
        return Authenticator(**{"origin": self.origin, "rp_id": "localhost"} | changes)

    def register(self, device: Authenticator, who: str = "alice") -> httpx.Response:
        begun = self.post("passkeys/options", who=who).json()
        made = {"flow": begun["flow"], "credential": device.create(begun["options"])}
        return self.post("passkeys", made | {"label": "key ring"}, who)

    def sign_in(self, device: Authenticator) -> httpx.Response:
        begun = self.post("sign-in/passkey/options").json()
        signed = {"flow": begun["flow"], "credential": device.get(begun["options"])}
        return self.post("sign-in/passkey", signed)

    def name(self, token: str) -> str:
        shown = self.http.get("/v1/whoami", headers={"authorization": f"Bearer {token}"})
        return str(shown.json()["name"])


@pytest.fixture
def door(tmp_path: Path, database_url: str) -> Iterator[Door]:
    plane = ControlPlane(tmp_path, database_url=database_url)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    origin = f"http://localhost:{port}"
    settings = replace(plane.settings, public_url=origin)
    app = create_app(plane.store, settings, plane.clock, runtimes=[RUNTIME])
    with serve_in_thread(app, port=port) as url:
        made = Door(plane, url, origin)
        yield made
        made.http.close()
    plane.store.close()


def test_a_registered_passkey_signs_its_owner_in(door: Door) -> None:
    device = door.authenticator()
    registered = door.register(device)
    assert registered.status_code == 201, registered.text
    answer = door.sign_in(device)
    assert answer.status_code == 200, answer.text
    assert door.name(answer.json()["token"]) == "alice"
    assert door.sign_in(device).status_code == 200


def test_a_passkey_nobody_registered_signs_nobody_in(door: Door) -> None:
    assert door.sign_in(door.authenticator()).status_code == 401


def test_a_removed_passkey_signs_nobody_in(door: Door) -> None:
    device = door.authenticator()
    entry = door.register(device).json()
    headers = {"authorization": f"Bearer {door.plane.tokens['bob']}"}
    assert door.http.delete(f"/v1/passkeys/{entry['id']}", headers=headers).status_code == 404
    headers = {"authorization": f"Bearer {door.plane.tokens['alice']}"}
    assert door.http.get("/v1/passkeys", headers=headers).json()["passkeys"][0] == entry
    assert door.http.delete(f"/v1/passkeys/{entry['id']}", headers=headers).status_code == 204
    assert door.sign_in(device).status_code == 401


def test_a_replayed_answer_is_refused(door: Door) -> None:
    device = door.authenticator()
    door.register(device)
    begun = door.post("sign-in/passkey/options").json()
    signed = {"flow": begun["flow"], "credential": device.get(begun["options"])}
    assert door.post("sign-in/passkey", signed).status_code == 200
    assert door.post("sign-in/passkey", signed).status_code == 401
    another = door.post("sign-in/passkey/options").json()["flow"]
    assert door.post("sign-in/passkey", signed | {"flow": another}).status_code == 401


def test_a_challenge_ends_after_five_minutes(door: Door) -> None:
    device = door.authenticator()
    door.register(device)
    begun = door.post("sign-in/passkey/options").json()
    signed = {"flow": begun["flow"], "credential": device.get(begun["options"])}
    door.plane.clock.put_forward(301)
    assert door.post("sign-in/passkey", signed).status_code == 401


def test_a_stolen_challenge_registers_nothing_for_another_person(door: Door) -> None:
    device = door.authenticator()
    begun = door.post("passkeys/options", who="alice").json()
    made = {"flow": begun["flow"], "credential": device.create(begun["options"])}
    assert door.post("passkeys", made, who="bob").status_code == 401
    assert door.post("passkeys", made, who="alice").status_code == 401  # it was used up
    assert door.sign_in(device).status_code == 401


def test_a_challenge_for_registering_is_none_for_signing_in(door: Door) -> None:
    device = door.authenticator()
    door.register(device)
    begun = door.post("passkeys/options", who="alice").json()
    signed = {"flow": begun["flow"], "credential": device.get(begun["options"])}
    assert door.post("sign-in/passkey", signed).status_code == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://localhost"},
        {"rp_id": "evil.example"},
        {"flags": PRESENT},
        {"flags": VERIFIED},
    ],
    ids=["another site", "another port", "another host", "person not verified", "nobody there"],
)
def test_an_answer_is_refused_that_comes_from(door: Door, changes: dict[str, Any]) -> None:
    assert door.register(door.authenticator(**changes)).status_code == 401
    device = door.authenticator()
    assert door.register(device).status_code == 201
    for name, value in changes.items():
        setattr(device, name, value)
    assert door.sign_in(device).status_code == 401


def test_a_copied_passkey_is_noticed_by_its_count(door: Door) -> None:
    device = door.authenticator()
    door.register(device)
    assert door.sign_in(device).status_code == 200
    device.count -= 1  # a copy that does not know of the sign-in before
    assert door.sign_in(device).status_code == 401


def test_a_count_may_have_all_its_32_bits(door: Door) -> None:
    device = door.authenticator(count=2**32 - 2)
    assert door.register(device).status_code == 201
    assert door.sign_in(device).status_code == 200


def test_another_key_under_the_same_name_is_refused(door: Door) -> None:
    device = door.authenticator()
    door.register(device)
    assert door.sign_in(door.authenticator(id=device.id, count=9)).status_code == 401
    assert door.register(door.authenticator(id=device.id), "bob").status_code == 409


@pytest.mark.parametrize(
    "credential", ["[]", "{}", "no json", '{"id": 1}', '{"id": "a"}', r'{"id": "\u0000"}']
)
def test_rubbish_is_refused(door: Door, credential: str) -> None:
    for path, who in (("sign-in/passkey", ""), ("passkeys", "alice")):
        begun = door.post(f"{path}/options", who=who).json()
        body = {"flow": begun["flow"], "credential": credential}
        assert door.post(path, body, who).status_code == 401


def test_a_token_for_less_registers_no_passkey(door: Door) -> None:
    token = door.plane.store.accounts.issue_token(
        "alice", expires_at=door.plane.clock() + timedelta(days=1), scopes=["read", "submit"]
    )
    door.plane.tokens["alice"] = token
    assert door.post("passkeys/options", who="alice").status_code == 403


_IN_THE_BROWSER = """async ([path, create, headers]) => {
  const ask = async (url, body) => (await fetch(url, {
    method: "POST", headers: {"content-type": "application/json", ...headers},
    body: body === undefined ? undefined : JSON.stringify(body)})).json();
  const begun = await ask(`/v1/${path}/options`);
  const options = JSON.parse(begun.options);
  const credential = create
    ? await navigator.credentials.create(
        {publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options)})
    : await navigator.credentials.get(
        {publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options)});
  return ask(`/v1/${path}`,
    {flow: begun.flow, credential: JSON.stringify(credential.toJSON()), label: "chromium"});
}"""


def test_a_passkey_of_a_real_browser_signs_in(door: Door) -> None:
    if not Path(CHROMIUM).exists():
        if os.environ.get("CI") == "true":
            pytest.fail("no Chromium here: apt-get install chromium")
        pytest.skip("no Chromium here: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page()
        page.goto(f"{door.origin}/v1/openapi.json")
        tools = page.context.new_cdp_session(page)
        tools.send("WebAuthn.enable")
        tools.send(
            "WebAuthn.addVirtualAuthenticator",
            {
                "options": {
                    "protocol": "ctap2",
                    "transport": "internal",
                    "hasResidentKey": True,
                    "hasUserVerification": True,
                    "isUserVerified": True,
                    "automaticPresenceSimulation": True,
                }
            },
        )
        bearer = {"authorization": f"Bearer {door.plane.tokens['alice']}"}
        made = page.evaluate(_IN_THE_BROWSER, ["passkeys", True, bearer])
        assert made.get("label") == "chromium", json.dumps(made)
        signed = page.evaluate(_IN_THE_BROWSER, ["sign-in/passkey", False, {}])
        browser.close()
    assert door.name(signed["token"]) == "alice"
