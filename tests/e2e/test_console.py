"""The console in Chromium: approving, reviewing, verifying, auditing; hostile outputs; looks."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from manatee.api import serve_in_thread
from manatee.bundle import read_trust
from manatee.cli._accounts import add_account
from manatee.cli._local_room import (
    BROKER,
    PROJECT,
    PROVIDER,
    RESEARCHER,
    LocalRoom,
    make_local_room,
)
from manatee.cli._people import Identity, new_researcher_identity, read_approver_key
from manatee.cli._provider import BrokerAddress, PrivacyBudget, prepare_dataset, publish
from manatee.cli._researcher import Work, submit
from manatee.cli._services import running_service
from manatee.client import ManateeClient
from manatee.console import OwnKeys, close_console, create_console
from manatee.contracts import parse_contract
from manatee.outputs import output_policy
from manatee.provisioning import insurance_contract_text, insured_persons
from manatee.records import JobAnswer
from manatee.runtime import runtime_digest
from manatee.sequencer import open_audit_log
from manatee.settings import load_settings

from ._browser import CHROMIUM, IMAGES

AXE = Path(__file__).parents[2] / "jupyterlab" / "node_modules" / "axe-core" / "axe.min.js"
HOSTILE = """import manatee
print("<img src='http://127.0.0.1:9/leak.png'><script>document.title='owned'</script>")
print("rows:", manatee.dataset("insurance").count_rows() // 100 * 100)"""


@dataclass
class Desk:
    """A room with a reviewer, and the console before it."""

    room: LocalRoom
    service: str
    url: str
    researcher: ManateeClient
    elsewhere: list[str] = field(default_factory=list)

    def submit(self, folder: Path, source: str, purpose: str) -> JobAnswer:
        """Submit one notebook."""
        (folder / "work").mkdir(parents=True, exist_ok=True)
        cell = {"cell_type": "code", "id": "a", "metadata": {}, "outputs": [], "source": source}
        document = {
            "cells": [cell | {"execution_count": None}],
            "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
        (folder / "work" / "notebook.ipynb").write_text(json.dumps(document))
        work = Work(
            workspace=folder / "work",
            notebook="notebook.ipynb",
            parameters={},
            datasets=("insurance",),
            declared_outputs=(),
            purpose=purpose,
            project=PROJECT,
            researcher=RESEARCHER,
            recipient=self.room.identity.recipient,
        )
        job = submit(
            work, client=self.researcher, runtime=runtime_digest(self.room.settings.runtime)
        )
        return self.reach(job, "awaiting_approval")

    def reach(self, job: JobAnswer, state: str) -> JobAnswer:
        """Wait until a job gets somewhere."""
        for event in self.researcher.events(job.id):
            if event.state == state:
                break
        found = self.researcher.job(job.id)
        assert found.state == state, found
        return found


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    if not Path(CHROMIUM).exists():
        if os.environ.get("CI"):
            pytest.fail("no Chromium here")
        pytest.skip("no Chromium here: apt-get install chromium")
    folder = tmp_path_factory.mktemp("console")
    runtime = load_settings().runtime
    reviewer: Identity = new_researcher_identity(folder / "reviewer.json")
    policy = output_policy((reviewer.recipient,))
    room = make_local_room(
        folder / "room",
        runtime=runtime,
        runtime_digest=runtime_digest(runtime),
        label="synthetic",
        output_policy=policy,
    )
    text = insurance_contract_text()
    with (
        running_service(room.settings, log=folder / "service.log") as service,
        ManateeClient(service, room.researcher_token) as researcher,
        ManateeClient(service, room.provider_token) as provider,
    ):
        prepare_dataset(
            insured_persons(400, seed=3),
            parse_contract(text.encode()),
            folder / "insurance",
            provider=PROVIDER,
            label="synthetic",
            contract_text=text,
            broker=BrokerAddress(BROKER, f"{service}/keybroker", room.broker_custody),
            budget=PrivacyBudget(epsilon=1.0, delta=1e-9),
            output_policy=policy,
            progress=lambda _: None,
        )
        publish(provider, folder / "insurance", lambda _: None)
        room.agree(service, ("insurance",))
        keys = OwnKeys(
            approver=read_approver_key(room.approver_key).raw,
            approver_name=PROVIDER,
            identity=reviewer.identity,
            trust=read_trust(room.trust),
            start_code="once",
            token=room.provider_token,
        )
        app = create_console(service, keys)
        with serve_in_thread(app) as url:
            yield Desk(room, service, url, researcher)
        close_console(app)


@pytest.fixture(scope="module")
def page(browser: Browser, desk: Desk) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1360, "height": 900})
    context.set_default_timeout(15_000)

    def asked(request: Any) -> None:
        if request.url.startswith("http") and not request.url.startswith(desk.url):
            desk.elsewhere.append(request.url)

    context.on("request", asked)
    found = context.new_page()
    found.goto(f"{desk.url}/start/once")
    expect(found.get_by_role("heading", level=1)).to_have_text("Waiting for your approval")
    yield found
    context.close()


def picture(page: Page, name: str) -> None:
    """Take the picture that the docs show, if pictures are asked for."""
    if os.environ.get("PICTURES"):
        page.screenshot(path=IMAGES / f"console-{name}.png")


@pytest.fixture(scope="module")
def waiting(desk: Desk, page: Page, tmp_path_factory: pytest.TempPathFactory) -> JobAnswer:
    """A job that the console approved and whose outputs wait."""
    folder = tmp_path_factory.mktemp("waiting")
    job = desk.submit(folder, HOSTILE, "How many persons are insured?")
    page.goto(f"{desk.url}/approvals")
    picture(page, "approvals")
    page.get_by_role("link", name="notebook.ipynb").click()
    expect(page.get_by_text("everything is new")).to_be_visible()
    expect(page.locator("table.diff tr.added")).not_to_have_count(0)
    page.get_by_role("button", name="Approve for insurer").click()
    expect(page.get_by_text("Nothing waits for approval.")).to_be_visible()
    return desk.reach(job, "awaiting_release")


def test_the_printed_address_signs_in_once(desk: Desk, page: Page, browser: Browser) -> None:
    assert page.url.endswith("/approvals")
    other = browser.new_context()
    stranger = other.new_page()
    stranger.goto(f"{desk.url}/start/once")
    expect(stranger.get_by_role("alert")).to_contain_text("used already")
    stranger.goto(f"{desk.url}/jobs")
    expect(stranger).to_have_url(f"{desk.url}/sign-in")
    stranger.get_by_text("With an API token").click()
    stranger.get_by_label("API token").fill("mnt_nothing")
    stranger.get_by_role("button", name="Sign in with the token").click()
    expect(stranger.get_by_role("alert")).to_contain_text("unknown or expired")
    stranger.get_by_text("With an API token").click()
    stranger.get_by_label("API token").fill(desk.room.researcher_token)
    stranger.get_by_role("button", name="Sign in with the token").click()
    expect(stranger.get_by_role("heading", level=1)).to_have_text("Jobs")
    expect(stranger.get_by_role("link", name="Approvals")).to_have_count(0)
    stranger.get_by_role("button", name="Sign out").click()
    stranger.goto(f"{desk.url}/jobs")
    expect(stranger).to_have_url(f"{desk.url}/sign-in")
    other.close()


def test_the_reviewer_finds_opens_and_releases_with_everything_side_by_side(
    desk: Desk, page: Page, waiting: JobAnswer
) -> None:
    page.goto(f"{desk.url}/reviews")
    page.get_by_label("Search what waits").press_sequentially("nothing of that kind")
    expect(page.get_by_text("No outputs wait for you.")).to_be_visible()
    page.get_by_label("Search what waits").fill("insured")
    expect(page.get_by_role("link", name="notebook.ipynb")).to_be_visible()
    picture(page, "reviews")
    page.get_by_role("link", name="notebook.ipynb").click()
    outputs = page.get_by_role("region", name="Outputs", exact=True)
    expect(outputs).to_contain_text("rows: 400")
    expect(page.get_by_role("region", name="Code", exact=True)).to_contain_text("count_rows")
    checks = page.get_by_role("region", name="Checks in the guest")
    expect(checks.locator("li.passed")).not_to_have_count(0)
    expect(checks).to_contain_text("Released before on this data")
    picture(page, "review")
    # a no without a reason is blocked in the browser, and on the server
    page.get_by_role("button", name="Keep back").click()
    expect(page.get_by_label("Reason for a no")).to_be_focused()
    page.get_by_label("Reason for a no").fill("   ")
    page.get_by_role("button", name="Keep back").click()
    expect(page.get_by_role("alert")).to_contain_text("A no needs a reason")
    assert desk.researcher.job(waiting.id).state == "awaiting_release"
    page.get_by_label("Note for the researcher").fill("rounded to hundreds")
    page.get_by_role("button", name="Release to researcher").click()
    expect(page.get_by_text("No outputs wait for you.")).to_be_visible()
    assert desk.researcher.wait(waiting.id).state == "released"


def test_hostile_outputs_are_text_and_fetch_nothing(
    desk: Desk, page: Page, waiting: JobAnswer
) -> None:
    page.goto(f"{desk.url}/reviews/{waiting.id}")
    expect(page.get_by_role("region", name="Outputs", exact=True)).to_contain_text("<script>")
    assert "owned" not in page.title()
    assert page.locator("main img[src^='http']").count() == 0
    page.goto(f"{desk.url}/jobs/{waiting.id}/code")
    expect(page.locator("main")).to_contain_text("<script>")
    assert desk.elsewhere == []


def test_what_changed_since_the_last_approval_stands_side_by_side(
    desk: Desk, page: Page, waiting: JobAnswer, tmp_path: Path
) -> None:
    changed = HOSTILE.replace("// 100 * 100", "// 10 * 10")
    job = desk.submit(tmp_path, changed, "How many persons are insured, more exactly?")
    page.goto(f"{desk.url}/approvals/{job.id}")
    expect(page.get_by_text("the version that was approved last")).to_be_visible()
    expect(page.locator("table.diff tr.changed")).to_have_count(1)
    expect(page.locator("tr.differs th")).to_have_text(["purpose"])
    picture(page, "approval")
    page.get_by_label("Reason for a no").fill("to the hundred is enough")
    page.get_by_role("button", name="Reject").click()
    ended = desk.researcher.wait(job.id)
    assert (ended.state, ended.message) == ("rejected", "to the hundred is enough")


def test_a_run_is_verified_here_and_simulated_cannot_be_missed(
    desk: Desk, page: Page, waiting: JobAnswer
) -> None:
    page.goto(f"{desk.url}/jobs/{waiting.id}")
    page.get_by_role("link", name="Verify the run").click()
    verdict = page.get_by_role("alert")
    # the released file is sealed to the researcher; the reviewer still opens the guest's
    expect(verdict).to_contain_text("Verified, but simulated.")
    expect(page.locator("ul.checks li")).not_to_have_count(0)
    assert page.locator("ul.checks li.failed").count() == 0
    picture(page, "proof")


def test_forms_of_other_sites_are_refused(desk: Desk, page: Page, waiting: JobAnswer) -> None:
    for path in (f"/jobs/{waiting.id}/cancel", f"/projects/{PROJECT}/stop", "/sign-out"):
        answer = page.request.post(desk.url + path, form={"reason": "x", "name": PROJECT})
        assert answer.status == 403, path
    assert desk.researcher.project(PROJECT).state == "open"


def test_every_answer_forbids_scripts_frames_and_strangers(desk: Desk, page: Page) -> None:
    for path in (
        "/sign-in",
        "/jobs",
        "/nothing",
        "/static/console.css",
        "/jobs/job-0000000000000000",
    ):
        headers = page.request.get(desk.url + path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
    cookie = next(item for item in page.context.cookies() if item["name"] == "manatee_console")
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    page.goto(f"{desk.url}/jobs")
    assert desk.room.provider_token not in page.content()


PAGES = ["/approvals", "/reviews", "/jobs", "/datasets", "/datasets/insurance", "/projects"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", [*PAGES, f"/projects/{PROJECT}", "review", "job", "proof"])
def test_axe_finds_nothing_and_nothing_overflows(
    desk: Desk, page: Page, waiting: JobAnswer, path: str, scheme: Any
) -> None:
    where = {
        "review": f"/reviews/{waiting.id}",
        "job": f"/jobs/{waiting.id}",
        "proof": f"/jobs/{waiting.id}/proof",
    }.get(path, path)
    page.emulate_media(color_scheme=scheme)
    page.goto(desk.url + where)
    # the page's own policy lets no other script in: the driver puts this one in
    page.evaluate(AXE.read_text() + "; 0")
    found = page.evaluate("() => axe.run(document).then(r => r.violations)")
    assert [(item["id"], [node["html"] for node in item["nodes"]]) for item in found] == []
    page.set_viewport_size({"width": 380, "height": 800})
    wide = page.evaluate("() => document.documentElement.scrollWidth > window.innerWidth")
    page.set_viewport_size({"width": 1360, "height": 900})
    page.emulate_media(color_scheme="light")
    assert not wide
    assert desk.elsewhere == []


def test_the_keyboard_alone_reaches_and_decides(
    desk: Desk, page: Page, waiting: JobAnswer, tmp_path: Path
) -> None:
    job = desk.submit(tmp_path, "print('keyboard')", "By keyboard alone")
    page.goto(f"{desk.url}/approvals")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.textContent") == "notebook.ipynb":
            break
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{desk.url}/approvals/{job.id}")
    page.get_by_label("Reason for a no").focus()
    page.keyboard.type("a test")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text(job.id)
    assert desk.researcher.wait(job.id).state == "rejected"


def test_a_project_is_stopped_only_by_its_name(desk: Desk, page: Page) -> None:
    page.goto(f"{desk.url}/projects/{PROJECT}")
    picture(page, "project")
    page.get_by_text("Stop the project").click()
    page.get_by_label("Reason; all parties see it").fill("a test")
    page.get_by_label("Name of the project, to make sure").fill("another")
    page.get_by_role("button", name=f"Stop {PROJECT}").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was changed")
    assert desk.researcher.project(PROJECT).state == "open"


def test_an_auditor_sees_who_decided_and_that_the_log_holds_it(
    desk: Desk, browser: Browser, waiting: JobAnswer
) -> None:
    token = add_account(
        desk.room.settings.home,
        "audra",
        ("auditor",),
        life=timedelta(days=1),
        organisation=PROVIDER,
    )
    trust = open_audit_log(desk.room.settings.home).trust()
    app = create_console(desk.service, OwnKeys(audit_trust=trust, start_code="two", token=token))
    context = browser.new_context(viewport={"width": 1360, "height": 900})
    with serve_in_thread(app) as url:
        page = context.new_page()
        page.goto(f"{url}/start/two")
        page.get_by_role("link", name="Audit").click()
        page.get_by_label("Job").fill(waiting.id)
        page.get_by_role("button", name="Show").click()
        expect(page.locator("tbody tr")).not_to_have_count(0)
        expect(page.locator("tbody")).to_contain_text("job approved")
        picture(page, "audit")
        page.locator("tbody a").first.click()
        expect(page.get_by_role("status")).to_contain_text("In the log.")
        page.goto(f"{url}/audit/999999")
        expect(page.get_by_text("There is no such event that you may see.")).to_be_visible()
        page.goto(f"{url}/approvals")
        expect(page.get_by_text("Nothing waits for approval.")).to_be_visible()
        page.goto(f"{url}/reviews/{waiting.id}")
        expect(page.get_by_role("alert")).to_be_visible()
    close_console(app)
    context.close()
