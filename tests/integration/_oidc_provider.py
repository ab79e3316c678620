"""A real OpenID Connect provider in a process of its own, and a person's browser at it."""

from __future__ import annotations

import contextlib
import html
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx
import pytest

FOLDER = Path(__file__).parent / "oidc"
REDIRECT = "http://127.0.0.1:9/signed-in"
SECRET = "a secret of the client's own, for tests"
_FORM = re.compile(r"<form[^>]*\baction=\"([^\"]+)\"[^>]*>(.*?)</form>", re.DOTALL)
_HIDDEN = re.compile(r"<input type=\"hidden\" name=\"([^\"]+)\"(?: value=\"([^\"]*)\")?")


@contextlib.contextmanager
def oidc_provider(redirect: str = REDIRECT) -> Iterator[str]:
    """Run it; gives its issuer. Skips where it is not installed, but never in CI."""
    node = shutil.which("node")
    if node is None or not (FOLDER / "node_modules").is_dir():
        reason = f"no OpenID Connect provider here: npm ci --prefix {FOLDER.name}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [node, str(FOLDER / "provider.mjs"), str(port), redirect, SECRET]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            lines = iter(process.stdout.readline, "")
            assert any(line.startswith("listening") for line in lines), "it did not start"
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def confirm(url: str, person: str) -> dict[str, str]:
    """Walk through the provider's pages as a person does; returns the redirect's members."""
    with httpx.Client(trust_env=False, timeout=20) as browser:
        answer = browser.get(url)
        for _ in range(20):
            if answer.is_redirect:
                target = urljoin(str(answer.url), answer.headers["location"])
                if target.startswith(REDIRECT):
                    return dict(parse_qsl(urlsplit(target).query))
                answer = browser.get(target)
                continue
            form = _FORM.search(answer.text)
            if form is None:
                return {"page": answer.text}
            fields = {name: html.unescape(value) for name, value in _HIDDEN.findall(form[2])}
            if 'name="login"' in form[2]:
                fields |= {"login": person, "password": "any"}
            if "confirm" in form[0]:
                fields.setdefault("confirm", "yes")
            action = urljoin(str(answer.url), html.unescape(form[1]))
            answer = browser.post(action, data=fields)
    raise AssertionError("the provider's pages do not end")
