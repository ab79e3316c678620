"""A real JupyterHub in front of the service: two people, each with a desk of their own."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from manatee.api import create_app, serve_in_thread
from manatee.settings import plain_environment
from manatee.testing import ControlPlane
from manatee.testing._control_plane import RUNTIME

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "deploy" / "jupyterhub"
PROXY = CONFIG / "node_modules" / ".bin" / "configurable-http-proxy"
PEOPLE = {"alice.hub": "alice", "bob.hub": "bob"}
PASSWORD = "a long enough password"
ACCESS = "access:services!service=manatee"
CLERK = secrets.token_hex(16)

# what differs from the deployed configuration: one machine account for everybody, free ports
HERE = """
load_subconfig({config!r})
c.JupyterHub.spawner_class = "jupyterhub.spawner.SimpleLocalProcessSpawner"
c.SimpleLocalProcessSpawner.home_dir_template = {homes!r} + "/{{username}}"
c.Authenticator.allowed_users = {{"alice.hub", "bob.hub", "hospital"}}
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_port = {hub_port}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy_port}"
c.Spawner.args.append("--allow-root")
c.JupyterHub.services.append({{"name": "clerk", "display": False, "api_token": {clerk!r}}})
c.JupyterHub.load_roles.append(
    {{"name": "clerk", "scopes": ["tokens", {access!r}], "services": ["clerk"]}}
)
"""


def free_ports(n: int) -> list[int]:
    """Return ports that are free now."""
    found = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [item.getsockname()[1] for item in found]
    for item in found:
        item.close()
    return ports


@dataclass
class Person:
    """Somebody with a browser, signed in at the hub."""

    hub: str
    name: str
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx.Client(
            base_url=self.hub, follow_redirects=True, trust_env=False, timeout=60
        )

    def sign_in(self, password: str = PASSWORD) -> httpx.Response:
        xsrf = {"_xsrf": self._xsrf("/hub/login")}
        return self.http.post(
            "/hub/login", data={"username": self.name, "password": password, **xsrf}
        )

    def _xsrf(self, page: str) -> str:
        self.http.get(page)
        # the hub's own cookie lies at its path; others of the same name at other paths
        return next(item.value or "" for item in self.http.cookies.jar if item.name == "_xsrf")

    def start(self) -> None:
        self.http.get(f"/hub/spawn/{self.name}")
        deadline = time.monotonic() + 40
        while True:
            # as a browser does: by way of the hub's sign-in, to the page
            answer = self.http.get(f"/user/{self.name}/lab")
            if answer.status_code == 200 and answer.url.path == f"/user/{self.name}/lab":
                return
            assert time.monotonic() < deadline, (answer.url, answer.status_code, answer.text[-500:])
            time.sleep(0.2)

    def desk(self, path: str) -> httpx.Response:
        return self.http.get(f"/user/{self.name}/manatee/{path}")


@dataclass
class House:
    """The service and the hub."""

    plane: ControlPlane
    service: str
    hub: str
    folder: Path

    def ask(self, token: str, path: str) -> httpx.Response:
        headers = {"authorization": f"Bearer {token}"}
        return httpx.get(self.service + path, headers=headers, trust_env=False, timeout=20)

    def token_of(self, name: str) -> str:
        """Return the token that lies in a person's server."""
        found: str = json.loads(self.connection_of(name).read_bytes())["token"]
        return found

    def connection_of(self, name: str) -> Path:
        return self.folder / "homes" / name / ".manatee" / "desk" / "connection.json"

    def new_token(self, name: str, *scopes: str) -> tuple[str, str]:
        """Let the hub make another token for a person; returns its id, too."""
        answer = httpx.post(
            f"{self.hub}/hub/api/users/{name}/tokens",
            json={"scopes": scopes},
            headers={"authorization": f"token {CLERK}"},
            trust_env=False,
        )
        assert answer.status_code == 201, answer.text
        return answer.json()["token"], answer.json()["id"]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    if not PROXY.exists():
        why = f"no proxy: `npm ci --ignore-scripts` in {CONFIG.relative_to(ROOT)}"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("hub")
    port, hub_port, proxy_port = free_ports(3)
    hub = f"http://127.0.0.1:{port}"
    plane = ControlPlane(folder)
    settings = replace(plane.settings, hub_api_url=f"http://127.0.0.1:{hub_port}/hub/api")
    app = create_app(plane.store, settings, plane.clock, runtimes=[RUNTIME])
    for name, account in PEOPLE.items():
        plane.store.links.link(account, settings.hub_api_url, name)
    with serve_in_thread(app) as service:
        config = folder / "jupyterhub_config.py"
        values: dict[str, Any] = {
            "config": str(CONFIG / "jupyterhub_config.py"),
            "homes": str(folder / "homes"),
            "port": port,
            "clerk": CLERK,
            "access": ACCESS,
            "hub_port": hub_port,
            "proxy_port": proxy_port,
        }
        config.write_text(HERE.format(**values))
        environment = {
            **plain_environment(),
            "MANATEE_URL": service,
            "MANATEE_RUNTIME": str(ROOT / "runtimes" / "tabular" / ".venv"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "jupyterhub", "-f", str(config)],
                cwd=folder,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            wait_for(f"{hub}/hub/api", process, folder / "log")
            yield House(plane, service, hub, folder)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
        assert left_in(folder) == []
    plane.store.close()


def left_in(folder: Path) -> list[str]:
    """Return the processes that still have a folder of these as their own."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if (place / "cwd").resolve().is_relative_to(folder):
                found.append((place / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:  # it ended meanwhile
            continue
    return found


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            if httpx.get(url, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert process.poll() is None, log.read_text()[-2000:]
        assert time.monotonic() < deadline, log.read_text()[-2000:]
        time.sleep(0.2)


@contextmanager
def at_a_desk(house: House, name: str) -> Iterator[Person]:
    person = Person(house.hub, name)
    with person.http:
        assert person.sign_in().status_code == 200
        person.start()
        yield person


@pytest.fixture(scope="module")
def alice(house: House) -> Iterator[Person]:
    with at_a_desk(house, "alice.hub") as person:
        yield person


@pytest.fixture(scope="module")
def bob(house: House) -> Iterator[Person]:
    with at_a_desk(house, "bob.hub") as person:
        yield person


def test_each_person_is_who_the_hub_says_and_sees_only_their_own_jobs(
    house: House, alice: Person, bob: Person
) -> None:
    assert alice.desk("info").json()["person"] == "alice"
    assert bob.desk("info").json()["person"] == "bob"
    job = house.plane.submit(researcher="alice")
    assert [item["id"] for item in alice.desk("jobs").json()["jobs"]] == [job.id]
    assert bob.desk("jobs").json()["jobs"] == []
    assert alice.desk(f"jobs/{job.id}").status_code == 200
    assert bob.desk(f"jobs/{job.id}").status_code == 404


def test_nobody_gets_into_another_persons_server(alice: Person, bob: Person) -> None:
    answer = bob.http.get("/user/alice.hub/manatee/info")
    assert answer.status_code in (403, 404)
    assert "person" not in answer.text


def test_a_desk_comes_with_the_twins_and_the_locked_runtime_alone(
    house: House, alice: Person
) -> None:
    assert [item["name"] for item in alice.desk("datasets").json()] == ["insurance"]
    kernels = alice.http.get("/user/alice.hub/api/kernelspecs").json()["kernelspecs"]
    (kernel,) = kernels.values()
    runtime = ROOT / "runtimes" / "tabular" / ".venv"
    assert kernel["spec"]["argv"][0] == str(runtime / "bin" / "python")
    desk = house.folder / "homes" / "alice.hub" / ".manatee"
    assert (desk / "desk" / "connection.json").stat().st_mode & 0o077 == 0
    assert (desk / "researcher-identity.json").stat().st_mode & 0o077 == 0


def test_pages_below_the_hub_take_nothing_from_elsewhere(alice: Person) -> None:
    page = alice.http.get("/user/alice.hub/lab")
    policy = page.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "connect-src 'self'" in policy
    assert "img-src 'self' data: blob:" in policy


def test_the_token_of_a_server_is_for_looking_and_submitting_alone(
    house: House, alice: Person
) -> None:
    token = house.token_of(alice.name)
    assert house.ask(token, "/v1/whoami").json()["name"] == "alice"
    assert house.ask(token, "/v1/tokens").status_code == 200
    wanted = {"label": "more", "scopes": ["read"], "expires_at": "2999-01-01T00:00:00Z"}
    made = httpx.post(
        house.service + "/v1/tokens",
        json=wanted,
        headers={"authorization": f"Bearer {token}"},
        trust_env=False,
    )
    assert made.status_code == 403
    headers = {"authorization": f"token {token}"}
    for path in ("users", "users/bob.hub", "services", "proxy"):
        assert httpx.get(
            f"{house.hub}/hub/api/{path}", headers=headers, trust_env=False
        ).status_code in (403, 404)


def test_a_name_chosen_at_the_hub_is_nobodys_account(house: House) -> None:
    token, _ = house.new_token("hospital", ACCESS)
    answer = house.ask(token, "/v1/whoami")
    assert answer.status_code == 401
    assert "no account is linked" in answer.text


def test_a_token_of_the_hub_that_is_for_other_things_is_refused(house: House) -> None:
    token, _ = house.new_token("alice.hub", "read:users:name!user")
    answer = house.ask(token, "/v1/whoami")
    assert answer.status_code == 401
    assert ACCESS in answer.text


def test_a_service_of_the_hub_is_no_person(house: House) -> None:
    assert house.ask(CLERK, "/v1/whoami").status_code == 401


def test_a_token_that_the_hub_revoked_ends_after_half_a_minute(house: House) -> None:
    token, number = house.new_token("alice.hub", ACCESS)
    assert house.ask(token, "/v1/whoami").status_code == 200
    gone = httpx.delete(
        f"{house.hub}/hub/api/users/alice.hub/tokens/{number}",
        headers={"authorization": f"token {CLERK}"},
        trust_env=False,
    )
    assert gone.status_code == 204
    assert house.ask(token, "/v1/whoami").status_code == 200
    house.plane.clock.put_forward(31)
    assert house.ask(token, "/v1/whoami").status_code == 401


def test_a_password_is_the_first_one_and_strangers_have_none(house: House, alice: Person) -> None:
    other = Person(house.hub, "alice.hub")
    with other.http:
        assert other.sign_in("another long password").status_code == 403
    stranger = Person(house.hub, "mallory")
    with stranger.http:
        assert stranger.sign_in().status_code == 403


CHROMIUM = Path("/usr/bin/chromium")


@contextmanager
def in_chromium(house: House, name: str) -> Iterator[Any]:
    """Sign somebody in with a browser, and give the page with the panel open."""
    if not CHROMIUM.exists():
        if os.environ.get("CI"):
            pytest.fail("no Chromium here")
        pytest.skip("no Chromium here: apt-get install chromium")
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_context().new_page()
        page.set_default_timeout(40_000)
        page.goto(f"{house.hub}/hub/login?next=/hub/spawn")
        page.fill("input[name=username]", name)
        page.fill("input[name=password]", PASSWORD)
        page.click("input[type=submit], button[type=submit]")
        page.wait_for_url(f"**/user/{name}/lab**")
        page.locator("[data-id='manatee-panel']").first.click()
        yield page
        browser.close()


def test_in_a_browser_progress_comes_through_the_hub_and_only_to_whose_it_is(
    house: House, alice: Person, bob: Person
) -> None:
    """No reload: the stream passes the hub's proxy. Then another person looks."""
    from playwright.sync_api import expect

    expect.set_options(timeout=40_000)

    purpose = "to be followed through the hub"
    with in_chromium(house, alice.name) as page:
        panel = page.locator("#manatee-panel")
        expect(panel).to_be_visible()
        job = house.plane.submit(researcher="alice", purpose=purpose, submission=7)
        row = panel.locator("li, article, button", has_text=purpose).first
        expect(row).to_be_visible()
        reconciler = house.plane.reconciler()
        reconciler.settle()
        expect(row).to_contain_text("Waits for approval")
        house.plane.approve(house.plane.store.jobs.get(job.id))
        reconciler.settle()
        expect(row).to_contain_text("Released")
    with in_chromium(house, bob.name) as page:
        panel = page.locator("#manatee-panel")
        expect(panel).to_contain_text("No jobs yet")
        expect(panel).not_to_contain_text(purpose)
        answer = page.request.get(f"{house.hub}/user/{bob.name}/manatee/jobs/{job.id}")
        assert answer.status == 404
