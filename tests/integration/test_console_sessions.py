"""A session of the console that ends says so, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from manatee.api import create_app, serve_in_thread
from manatee.console import _sessions, close_console, create_console
from manatee.console._sessions import COOKIE
from manatee.testing import ControlPlane
from manatee.testing._control_plane import RUNTIME


class House:
    def __init__(self, plane: ControlPlane, browser: httpx.Client) -> None:
        self.plane, self.browser = plane, browser

    def sign_in(self, name: str) -> httpx.Response:
        return self.browser.post("/sign-in", data={"token": self.plane.tokens[name]})


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    plane = ControlPlane(tmp_path)
    app = create_app(plane.store, plane.settings, plane.clock, runtimes=[RUNTIME])
    with serve_in_thread(app) as service:
        pages = create_console(service)
        with (
            serve_in_thread(pages) as url,
            httpx.Client(base_url=url, trust_env=False, follow_redirects=True) as browser,
        ):
            yield House(plane, browser)
        close_console(pages)
    plane.store.close()


def test_who_was_never_signed_in_is_asked_without_a_reproach(house: House) -> None:
    answer = house.browser.get("/jobs")
    assert answer.url.path == "/sign-in"
    assert 'role="alert"' not in answer.text


def test_a_token_that_the_service_no_longer_accepts_ends_the_session_with_a_word(
    house: House,
) -> None:
    assert house.sign_in("carol").url.path != "/sign-in"
    cookie = house.browser.cookies[COOKIE]
    house.plane.store.accounts.disable("carol")
    answer = house.browser.get("/audit")
    assert answer.url.path == "/sign-in"
    assert "Your session has ended" in answer.text
    assert COOKIE not in house.browser.cookies
    house.plane.store.accounts.enable("carol")
    stale = house.browser.get("/audit", headers={"cookie": f"{COOKIE}={cookie}"})
    assert stale.url.path == "/sign-in", "the old cookie opens nothing, though its token would"


def test_a_session_left_alone_ends_with_a_word(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.sign_in("carol")
    monkeypatch.setattr(_sessions, "IDLE_SECONDS", -1.0)
    answer = house.browser.get("/audit")
    assert answer.url.path == "/sign-in"
    assert "Your session has ended" in answer.text


def test_signing_in_again_goes_on(house: House) -> None:
    house.browser.cookies.set(COOKIE, "nothing")
    assert "Your session has ended" in house.browser.get("/jobs").text
    assert house.sign_in("alice").url.path != "/sign-in"
    assert house.browser.get("/jobs").url.path == "/jobs"
