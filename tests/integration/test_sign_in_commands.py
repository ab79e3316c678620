"""`manatee sign-in`, `manatee token` and `manatee account invite` against a running service."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyotp
import pytest

from manatee.api import create_app, serve_in_thread
from manatee.testing import ControlPlane
from manatee.testing._control_plane import RUNTIME

from ._oidc_provider import SECRET, confirm, oidc_provider

PASSWORD = "seven red boats 7"


class Shell:
    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url

    def start(self, *arguments: str, token: str = "") -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "manatee.cli", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                "MANATEE_URL": self.url,
                "MANATEE_TOKEN": token,
                "MANATEE_HOME": str(self.folder / "store"),
                "PYTHONUNBUFFERED": "1",
            },
        )

    def run(self, *arguments: str, token: str = "", code: int = 0, say: str = "") -> str:
        with self.start(*arguments, token=token) as process:
            out, err = process.communicate(say, timeout=60)
        assert process.returncode == code, err
        return out if code == 0 else err


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with oidc_provider() as url:
        yield url


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    plane = ControlPlane(tmp_path)
    app = create_app(plane.store, plane.settings, plane.clock, runtimes=[RUNTIME])
    with serve_in_thread(app) as url:
        yield Shell(tmp_path, url)
    plane.store.close()


def test_from_an_invitation_to_a_token_for_a_program(shell: Shell) -> None:
    invitation = shell.run("account", "invite", "alice").strip()
    with shell.start("sign-in", "alice", "--invitation") as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(f"{invitation}\n{PASSWORD}\n{PASSWORD}\n")
        process.stdin.flush()
        shown = ""
        while "secret=" not in shown:
            shown = process.stderr.readline()
        secret = re.search(r"secret=([A-Z2-7]+)", shown)
        assert secret is not None
        out, _ = process.communicate(pyotp.TOTP(secret[1]).now() + "\n", timeout=60)
    token = out.strip()
    assert json.loads(shell.run("whoami", "-o", "json", token=token))["name"] == "alice"

    made = shell.run("token", "new", "nightly run", "--scope", "read", "--days", "7", token=token)
    listed = json.loads(shell.run("token", "list", "-o", "json", token=made.strip()))["tokens"]
    entry = next(item for item in listed if item["label"] == "nightly run")
    assert entry["scopes"] == ["read"]
    shell.run("token", "revoke", entry["id"], token=token)
    assert "unknown or expired" in shell.run("whoami", token=made.strip(), code=3)


def test_passwords_that_differ_change_nothing(shell: Shell) -> None:
    invitation = shell.run("account", "invite", "alice").strip()
    said = f"{invitation}\n{PASSWORD}\nanother one altogether\n"
    assert "differ" in shell.run("sign-in", "alice", "--invitation", code=2, say=said)


def test_a_wrong_password_says_what_to_do(shell: Shell) -> None:
    said = shell.run("sign-in", "alice", code=3, say="wrong\n000000\n")
    assert "Check the name, the password and the code" in said
    assert "wrong\n" not in said


def test_a_token_needs_a_scope_that_exists(shell: Shell) -> None:
    assert "--scope" in shell.run("token", "new", "x", code=2)
    assert "no such scope" in shell.run("token", "new", "x", "--scope", "all", code=2)


def test_nobody_is_invited_to_an_account_that_is_not_there(shell: Shell) -> None:
    assert "no account" in shell.run("account", "invite", "nobody", code=4)


def test_a_service_without_a_provider_says_so(shell: Shell) -> None:
    assert "no identity provider" in shell.run("sign-in", "--device", code=4)


def test_a_terminal_signs_in_at_the_provider(tmp_path: Path, issuer: str) -> None:
    plane = ControlPlane(tmp_path)
    plane.store.links.link("alice", issuer, "subject-of-alice")
    secret = tmp_path / "client-secret"
    secret.write_text(SECRET)
    settings = replace(
        plane.settings,
        public_url="http://127.0.0.1:9",
        oidc_issuer=issuer,
        oidc_client_id="manatee",
        oidc_client_secret_file=str(secret),
    )
    app = create_app(plane.store, settings, plane.clock, runtimes=[RUNTIME])
    with serve_in_thread(app) as url:
        shell = Shell(tmp_path, url)
        with shell.start("sign-in", "--device") as process:
            assert process.stderr is not None
            opened = re.search(r"Open (\S+) and", process.stderr.readline())
            assert opened is not None
            confirm(opened[1], "subject-of-alice")
            out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        shown = shell.run("whoami", "-o", "json", token=out.strip())
    plane.store.close()
    assert json.loads(shown)["name"] == "alice"


def test_an_operator_disables_an_account_and_its_token_ends(shell: Shell) -> None:
    token = shell.run(
        "account", "add", "eve", "--role", "researcher", "--scope", "read", "--scope", "submit"
    ).strip()
    (entry,) = json.loads(shell.run("token", "list", "-o", "json", token=token))["tokens"]
    assert entry["scopes"] == ["read", "submit"]
    shell.run("account", "disable", "eve")
    assert "eve\teve\tdisabled\n" in shell.run("account", "list")
    shell.run("whoami", token=token, code=3)
    shell.run("account", "enable", "eve")
    listed = json.loads(shell.run("account", "list", "-o", "json"))["accounts"]
    assert {"name": "eve", "organisation": "eve", "disabled": False} in listed
    shell.run("whoami", token=token, code=3)
    assert "no account" in shell.run("account", "disable", "nobody", code=4)
    assert "no account" in shell.run("account", "unlink", "nobody", code=4)


def test_one_lists_and_removes_ones_passkeys(shell: Shell) -> None:
    token = shell.run("account", "add", "eve", "--role", "researcher").strip()
    assert json.loads(shell.run("passkey", "list", "-o", "json", token=token)) == {"passkeys": []}
    assert "passkey" in shell.run("passkey", "remove", "nothing", token=token, code=4)
