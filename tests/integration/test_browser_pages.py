"""The service's own pages in Chromium: three ways of signing in, passkeys, tokens, programs."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pyotp
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from manatee.api import create_app, serve_in_thread
from manatee.cli._browser_sign_in import sign_in_by_browser
from manatee.cli._people import new_researcher_identity
from manatee.client import AskedBrowser, SignInClient
from manatee.console import close_console, create_console
from manatee.errors import AuthenticationError
from manatee.records import Handover, IssuedToken, canonical_json
from manatee.settings import load_settings
from manatee.testing import ControlPlane
from manatee.testing._control_plane import RUNTIME

from ._oidc_provider import SECRET, oidc_provider

CHROMIUM = "/usr/bin/chromium"
REPOSITORY = Path(__file__).parents[2]
AXE = REPOSITORY / "jupyterlab" / "node_modules" / "axe-core" / "axe.min.js"
IMAGES = REPOSITORY / "docs" / "how-to" / "images"
SHOWN = {("sign-in", "light"), ("account", "light")}
PASSWORD = "a long pass phrase of nobody else"
PLATFORM = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@dataclass
class House:
    """A service with its pages, and an identity provider beside it."""

    plane: ControlPlane
    origin: str
    issuer: str
    asked: list[str] = field(default_factory=list)

    def whoami(self, token: str) -> httpx.Response:
        headers = {"authorization": f"Bearer {token}"}
        return httpx.get(f"{self.origin}/v1/whoami", headers=headers, trust_env=False)

    def tomorrow(self) -> datetime:
        return self.plane.clock() + timedelta(days=1)

    def invite(self, name: str) -> str:
        return self.plane.store.credentials.invite(name)

    def password_of(self, name: str) -> pyotp.TOTP:
        """Give somebody a password; returns the authenticator app."""
        factor = self.plane.store.credentials.redeem(name, self.invite(name), PASSWORD, address="")
        return pyotp.parse_uri(factor.totp_uri)  # type: ignore[return-value]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        if os.environ.get("CI") == "true":
            pytest.fail("no Chromium here: apt-get install chromium")
        pytest.skip("no Chromium here: apt-get install chromium")
    expect.set_options(timeout=20_000)
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield made
        made.close()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    plane = ControlPlane(folder)
    port = free_port()
    origin = f"http://localhost:{port}"
    (folder / "client-secret").write_text(SECRET)
    with oidc_provider(f"{origin}/signed-in") as issuer:
        settings = replace(
            plane.settings,
            public_url=origin,
            oidc_issuer=issuer,
            oidc_client_id="manatee",
            oidc_client_secret_file=str(folder / "client-secret"),
        )
        app = create_app(plane.store, settings, plane.clock, runtimes=[RUNTIME])
        with serve_in_thread(app, port=port):
            yield House(plane, origin, issuer)
    plane.store.close()


@pytest.fixture
def page(browser: Browser, house: House) -> Iterator[Page]:
    """A window with an authenticator; it may ask the service and its provider, nobody else."""
    context = browser.new_context(viewport={"width": 1100, "height": 900})
    made = context.new_page()
    errors: list[str] = []
    strangers: list[str] = []
    made.on("pageerror", lambda error: errors.append(str(error)))
    fonts = "https://fonts.googleapis.com/"  # the provider's own pages; ours forbid it
    known = (house.origin, house.issuer, "data:", fonts)
    made.on(
        "request",
        lambda asked: None if asked.url.startswith(known) else strangers.append(asked.url),
    )
    tools = context.new_cdp_session(made)
    tools.send("WebAuthn.enable")
    tools.send("WebAuthn.addVirtualAuthenticator", {"options": PLATFORM})
    yield made
    assert errors == []
    assert [url for url in strangers if not url.startswith("http://127.0.0.1:")] == []
    context.close()


def by_password(page: Page, name: str, code: str) -> None:
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Code of your authenticator app").fill(code)
    page.get_by_role("button", name="Sign in", exact=True).click()


def at_the_provider(page: Page, person: str) -> None:
    """Walk through the provider's pages."""
    page.locator("[name=login]").fill(person)
    page.locator("[name=password]").fill("any")
    page.locator("button[type=submit], [type=submit]").first.click()
    page.get_by_role("button", name=re.compile("continue|confirm", re.IGNORECASE)).click()


def test_from_an_invitation_to_a_passkey_that_signs_in(page: Page, house: House) -> None:
    fragment = urlencode({"name": "bob", "invitation": house.invite("bob")})
    page.goto(f"{house.origin}/invitation#{fragment}")
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_label("Once more").fill(PASSWORD + "x")
    page.get_by_role("button", name="Set the password").click()
    expect(page.get_by_role("alert")).to_have_text("The two passwords differ.")
    page.get_by_label("Once more").fill(PASSWORD)
    page.get_by_role("button", name="Set the password").click()

    picture = page.get_by_alt_text("QR code for the authenticator app")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.complete && image.naturalWidth > 50")
    expect(page.locator(".codes li")).to_have_count(10)
    secret = page.locator(".secret").inner_text()
    page.get_by_label("Code that the app shows").fill(pyotp.TOTP(secret).at(house.plane.clock()))
    page.get_by_role("button", name="Sign in").click()

    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    expect(page.get_by_text("None yet. With one you sign in")).to_be_visible()
    page.get_by_label("Name of a new passkey").fill("work laptop")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("status")).to_have_text("Passkey work laptop added.")
    page.get_by_role("button", name="Sign out").click()

    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.locator("#who")).to_contain_text("bob")
    page.get_by_role("button", name="Remove passkey work laptop").click()
    expect(page.get_by_role("status")).to_have_text("Passkey work laptop removed.")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert")).not_to_be_empty()
    assert page.get_by_role("heading", name="Your account").count() == 0


def test_a_wrong_code_signs_nobody_in_and_says_so(page: Page, house: House) -> None:
    house.password_of("carol")
    page.goto(f"{house.origin}/account")
    by_password(page, "carol", "000000")
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_label("Password", exact=True)).to_have_value(PASSWORD)
    assert page.locator("#who").inner_text() == ""


def test_tokens_are_listed_and_revoked_and_leaving_the_page_ends_its_own(
    page: Page, house: House
) -> None:
    app = house.password_of("alice")
    tokens = house.plane.store.accounts
    held = {item.id for item in tokens.tokens("alice")}
    other = tokens.new_token(
        "alice",
        expires_at=house.tomorrow(),
        scopes=frozenset({"read"}),
        label="nightly report",
        by="alice",
    )
    assert house.whoami(other.token).status_code == 200
    page.goto(f"{house.origin}/account")
    by_password(page, "alice", app.at(house.plane.clock()))
    expect(page.get_by_text("(this page)")).to_be_visible()
    page.get_by_role("button", name="Revoke token nightly report").click()
    expect(page.get_by_role("status")).to_have_text("Token nightly report revoked.")
    assert house.whoami(other.token).status_code == 401
    page.goto("about:blank")
    give_up = 100
    while {item.id for item in tokens.tokens("alice")} - held and give_up:
        page.wait_for_timeout(50)
        give_up -= 1
    assert {item.id for item in tokens.tokens("alice")} <= held


def test_a_linked_person_signs_in_at_the_identity_provider(page: Page, house: House) -> None:
    fragment = urlencode({"name": "olga", "invitation": house.invite("olga")})
    page.goto(f"{house.origin}/invitation#{fragment}")
    page.get_by_role("button", name="Link my account at").click()
    at_the_provider(page, "subject-of-olga")
    expect(page.locator("#who")).to_contain_text("olga")
    assert page.url == f"{house.origin}/signed-in"  # code and state stay in no history
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in at").click()  # the provider remembers who it is
    expect(page.locator("#who")).to_contain_text("olga")


def test_an_answer_of_the_provider_that_this_tab_did_not_ask_for_signs_nobody_in(
    page: Page, house: House
) -> None:
    """Somebody sends a link with an answer of their own: the victim would act in their account."""
    page.goto(f"{house.origin}/signed-in?code=stolen&state=anything&iss={house.issuer}")
    expect(page.get_by_role("alert")).to_contain_text("began no sign-in")
    assert page.locator("#who").inner_text() == ""


# --- handing over to a program -------------------------------------------------------------------


def test_the_command_gets_a_token_through_the_browser(page: Page, house: House) -> None:
    app = house.password_of("hospital")
    addresses: list[str] = []
    said = threading.Event()
    made: list[IssuedToken] = []

    def sign_in() -> None:
        made.append(
            sign_in_by_browser(
                house.origin,
                program="command line",
                say=lambda address: (addresses.append(address), said.set())[0],
                open_browser=lambda _: True,
                patience_seconds=60,
            )
        )

    waiting = threading.Thread(target=sign_in)
    waiting.start()
    assert said.wait(10)
    page.goto(addresses[0])
    by_password(page, "hospital", app.at(house.plane.clock()))
    expect(page.get_by_text("asks to act as hospital")).to_be_visible()
    page.get_by_role("button", name="Yes, let it").click()
    expect(page.get_by_role("heading", name="Done")).to_be_visible()
    waiting.join(20)
    assert house.whoami(made[0].token).json()["name"] == "hospital"
    assert "credentials" not in made[0].entry.scopes
    assert made[0].token not in page.url


def test_the_console_signs_in_on_the_services_page(
    page: Page, house: House, browser: Browser
) -> None:
    app = house.password_of("registry")
    console = create_console(house.origin)
    with serve_in_thread(console) as url:
        page.goto(f"{url}/sign-in")
        page.get_by_role("link", name="Sign in on the service's page").click()
        by_password(page, "registry", app.at(house.plane.clock()))
        page.get_by_role("button", name="Yes, let it").click()
        expect(page.locator(".who")).to_contain_text("registry")
        assert page.url == f"{url}/approvals"
        # what another browser began is not finished here
        other = browser.new_context()
        stranger = other.new_page()
        answer = stranger.goto(f"{url}/returned?code=a&state=b")
        assert answer is not None
        assert answer.status == 403
        stranger.goto(f"{url}/returned?code=a&state=")
        expect(stranger.get_by_role("alert")).to_contain_text("asked for nothing")
        other.close()
        # a name may be anybody's: only a console at an address of this computer sends for a token
        named = httpx.get(
            f"{url}/at-the-service", headers={"host": "localhost:80"}, trust_env=False
        )
        assert named.status_code == 404
    close_console(console)


def test_the_lab_signs_in_by_the_browser_and_starts(
    page: Page, house: House, tmp_path: Path
) -> None:
    """Her first day: no token yet, only the service's address and an identity."""
    settings = load_settings()
    if not (settings.runtime / "bin" / "python").exists():
        pytest.skip("no runtime here")
    app = house.password_of("alice")
    new_researcher_identity(tmp_path / "identity.json")
    command = [sys.executable, "-m", "manatee.cli", "lab", "--dir", str(tmp_path / "lab")]
    command += ["--identity", str(tmp_path / "identity.json"), "--no-browser"]
    environment = {
        "PATH": os.environ["PATH"],
        "MANATEE_HOME": str(tmp_path / "home"),
        "MANATEE_URL": house.origin,
        "MANATEE_RUNTIME": str(settings.runtime),
    }
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as lab:
        try:
            assert lab.stderr is not None
            assert lab.stdout is not None
            said = lab.stderr.readline()
            assert said.startswith("sign in at "), said + lab.stderr.read()
            page.goto(said.removeprefix("sign in at ").strip())
            by_password(page, "alice", app.at(house.plane.clock()))
            expect(page.get_by_text("ManaTEE's JupyterLab")).to_be_visible()
            page.get_by_role("button", name="Yes, let it").click()
            address = lab.stdout.readline().strip()
            assert address.startswith("http://127.0.0.1:"), lab.stderr.read()
            page.goto(address)
            panel = page.locator("[data-id='manatee-panel']").first
            panel.click()
            sign = page.get_by_role("status", name=f"alice at {house.origin}")
            expect(sign).to_have_text("alice")
        finally:
            lab.send_signal(signal.SIGTERM)
            lab.wait(30)


@pytest.mark.parametrize(
    "return_to",
    [
        "https://evil.example/",
        "http://evil.example:80/",
        "http://127.0.0.1.evil.example:80/",
        "http://127.0.0.1:80@evil.example/",
        "http://localhost:80/",
        "http://127.0.0.1:80/a/b",
        "http://127.0.0.1:80/?x=",
        "javascript:alert(1)//http://127.0.0.1:80/",
        "http://127.0.0.1:80/\nx",
    ],
)
def test_no_code_goes_anywhere_but_to_this_computer(
    page: Page, house: House, return_to: str
) -> None:
    address = AskedBrowser.fresh().address(house.origin, program="console", return_to=return_to)
    page.goto(address)
    expect(page.get_by_role("alert")).to_contain_text("no program of ManaTEE")
    assert page.get_by_role("button").count() == 0


def promised(house: House, asked: AskedBrowser, **changes: object) -> httpx.Response:
    challenge = asked.address("", program="lab", return_to="").rpartition("challenge=")[2]
    body = {"label": "a program", "scopes": ["read"], "challenge": challenge} | changes
    made = house.plane.store.accounts.issue_token("alice", expires_at=house.tomorrow())
    return httpx.post(
        f"{house.origin}/v1/tokens/handover",
        content=canonical_json(body),
        headers={"authorization": f"Bearer {made}", "content-type": "application/json"},
        trust_env=False,
    )


def test_a_code_counts_once_and_for_who_asked(house: House) -> None:
    asked, other = AskedBrowser.fresh(), AskedBrowser.fresh()
    with SignInClient(house.origin) as client:
        code = promised(house, asked).json()["code"]
        with pytest.raises(AuthenticationError, match="another program"):
            client.take_over(Handover(code=code, verifier=other.verifier))
        with pytest.raises(AuthenticationError):  # it is used up all the same
            client.take_over(Handover(code=code, verifier=asked.verifier))
        code = promised(house, asked).json()["code"]
        made = asked.exchange(client, state=asked.state, code=code)
        assert house.whoami(made.token).json()["name"] == "alice"
        assert made.entry.scopes == ("read",)
        with pytest.raises(AuthenticationError):
            asked.exchange(client, state=asked.state, code=code)
        with pytest.raises(AuthenticationError, match="another sign-in"):
            asked.exchange(client, state=other.state, code=promised(house, asked).json()["code"])
        late = promised(house, asked).json()["code"]
        house.plane.clock.put_forward(61)
        with pytest.raises(AuthenticationError):
            asked.exchange(client, state=asked.state, code=late)


def test_codes_are_not_guessed(house: House) -> None:
    given = b'{"code":"guessed","verifier":"' + b"A" * 43 + b'"}'
    statuses = [
        httpx.post(
            f"{house.origin}/v1/sign-in/handover", content=given, trust_env=False
        ).status_code
        for _ in range(30)
    ]
    house.plane.clock.put_forward(120)
    assert statuses[0] == 401
    assert statuses[-1] == 429


def test_no_program_is_given_what_the_page_does_not_have(house: House) -> None:
    page = house.plane.store.accounts.new_token(
        "alice",
        expires_at=house.tomorrow(),
        scopes=frozenset({"credentials", "read"}),
        label="page",
        by="alice",
    )
    statuses = [
        httpx.post(
            f"{house.origin}/v1/tokens/handover",
            content=canonical_json({"label": "x", "scopes": [scope], "challenge": "A" * 43}),
            headers={"authorization": f"Bearer {page.token}"},
            trust_env=False,
        ).status_code
        for scope in ("read", "approve")
    ]
    assert statuses == [200, 403]


def test_no_program_is_given_the_right_to_make_tokens(house: House) -> None:
    asked = AskedBrowser.fresh()
    assert promised(house, asked, scopes=["read", "credentials"]).status_code == 403
    assert promised(house, asked, challenge="short").status_code == 422
    narrow = house.plane.store.accounts.new_token(
        "alice",
        expires_at=house.tomorrow(),
        scopes=frozenset({"read"}),
        label="narrow",
        by="alice",
    )
    refused = httpx.post(
        f"{house.origin}/v1/tokens/handover",
        content=b'{"label":"x","scopes":["read"],"challenge":"' + b"A" * 43 + b'"}',
        headers={"authorization": f"Bearer {narrow.token}"},
        trust_env=False,
    )
    assert refused.status_code == 403


def test_nobody_who_answers_in_time_is_no_token(house: House) -> None:
    with pytest.raises(AuthenticationError, match="in time"):
        sign_in_by_browser(
            house.origin,
            program="lab",
            say=lambda _: None,
            open_browser=lambda _: False,
            patience_seconds=0.1,
        )


# --- what every page keeps ------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/sign-in", "/signed-in", "/invitation", "/account"])
def test_every_page_is_under_a_strict_policy_and_in_nobodys_frame(house: House, path: str) -> None:
    answer = httpx.get(house.origin + path, trust_env=False)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-frame-options"] == "DENY"
    assert "set-cookie" not in answer.headers
    for name in re.findall(r'(?:src|href)="(/pages/[^"]+)"', answer.text):
        assert httpx.get(house.origin + name, trust_env=False).status_code == 200


@pytest.mark.parametrize("name", ["page.html", "..%2f_app.py", "nothing.js", "%2e%2e/_app.py"])
def test_nothing_else_is_served_from_the_folder(house: House, name: str) -> None:
    assert httpx.get(f"{house.origin}/pages/{name}", trust_env=False).status_code in (404, 422)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1100, 380])
def test_axe_finds_nothing_and_nothing_overflows(
    page: Page, house: House, scheme: str, width: int
) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not installed: npm ci in jupyterlab")
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": 900})

    def look(name: str) -> None:
        page.evaluate(AXE.read_text())
        found = page.evaluate("() => axe.run(document).then(r => r.violations)")
        assert [item["id"] for item in found] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        if os.environ.get("PICTURES") and width == 1100 and (name, scheme) in SHOWN:
            IMAGES.mkdir(exist_ok=True)
            page.screenshot(path=IMAGES / f"pages-{name}-{scheme}.png")

    page.context.set_extra_http_headers({})
    page.goto(f"{house.origin}/sign-in")
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_visible()
    look("sign-in")
    page.goto(f"{house.origin}/invitation")
    expect(page.get_by_role("heading", name="Take up an invitation")).to_be_visible()
    look("invitation")
    page.get_by_label("Name of your account").fill("bob")
    page.get_by_label("Invitation").fill(house.invite("bob"))
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_label("Once more").fill(PASSWORD)
    page.get_by_role("button", name="Set the password").click()
    expect(page.get_by_alt_text("QR code for the authenticator app")).to_be_visible()
    look("second-factor")
    secret = page.locator(".secret").inner_text()
    page.get_by_label("Code that the app shows").fill(pyotp.TOTP(secret).at(house.plane.clock()))
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Name of a new passkey").fill(f"laptop {scheme} {width}")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("status")).to_contain_text("added")
    look("account")
    page.get_by_role("button", name=f"Remove passkey laptop {scheme} {width}").click()
    expect(page.get_by_role("status")).to_contain_text("removed")


def test_the_ways_of_signing_in_are_said_to_anybody(house: House) -> None:
    found = httpx.get(f"{house.origin}/v1/sign-in", trust_env=False).json()
    assert found["passkeys"] is True
    assert found["public_url"] == house.origin
    assert house.issuer == f"http://{found['provider']}"
