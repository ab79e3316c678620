"""The console's audit pages: what happened last stands first, and everything can be reached."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from manatee.api import create_app, serve_in_thread
from manatee.console import close_console, create_console
from manatee.store import AuditQuery
from manatee.testing import ControlPlane
from manatee.testing._control_plane import RUNTIME


@pytest.fixture
def console(tmp_path: Path) -> Iterator[tuple[ControlPlane, httpx.Client]]:
    plane = ControlPlane(tmp_path)
    for _ in range(110):
        plane.store.accounts.disable("bob")
        plane.store.accounts.enable("bob")
    app = create_app(plane.store, plane.settings, plane.clock, runtimes=[RUNTIME])
    with serve_in_thread(app) as service:
        pages = create_console(service)
        with (
            serve_in_thread(pages) as url,
            httpx.Client(base_url=url, trust_env=False, follow_redirects=True) as browser,
        ):
            browser.post("/sign-in", data={"token": plane.tokens["olga"]})
            yield plane, browser
        close_console(pages)
    plane.store.close()


def numbers(text: str) -> list[int]:
    return [int(found) for found in re.findall(r'<a href="/audit/([0-9]+)">', text)]


def test_the_newest_stand_first_and_the_oldest_are_reached_page_by_page(
    console: tuple[ControlPlane, httpx.Client],
) -> None:
    plane, browser = console
    last = plane.store.audit.size()
    seen: list[int] = []
    address = "/audit"
    while address:
        answer = browser.get(address)
        assert answer.status_code == 200
        seen += numbers(answer.text)
        older = re.search(r'<a href="([^"]+)" rel="next">Older</a>', answer.text)
        address = older[1].replace("&amp;", "&") if older else ""
    assert seen == list(range(last, 0, -1))


def test_pages_of_a_question_go_on_asking_it(console: tuple[ControlPlane, httpx.Client]) -> None:
    plane, browser = console
    first = browser.get("/audit", params={"person": "bob"}).text
    older = re.search(r'<a href="([^"]+)" rel="next">', first)
    assert older is not None
    rest = browser.get(older[1].replace("&amp;", "&")).text
    assert "person=bob" in older[1]
    assert 'value="bob"' in rest
    assert numbers(rest)[-1] == min(
        event.number for event in plane.store.audit.page(AuditQuery(person="bob"), limit=5)
    )
    assert ">Newest</a>" in rest


def test_one_event_is_one_question(console: tuple[ControlPlane, httpx.Client]) -> None:
    plane, browser = console
    last = plane.store.audit.size()
    for number in (1, 5, last):
        assert f"{number}" in browser.get(f"/audit/{number}").text
    assert browser.get(f"/audit/{last + 1}").status_code in (200, 404)
    for number in ("0", "-1", "99999999999999999999"):
        assert browser.get(f"/audit/{number}").status_code < 500
