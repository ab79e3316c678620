"""Chromium, and pages that notice every request to elsewhere and every error."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from ._lab import Lab

CHROMIUM = "/usr/bin/chromium"
IMAGES = Path(__file__).resolve().parents[2] / "docs" / "tutorial" / "images"

_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Debian's Chromium, without a window and without a word to its maker."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Watched:
    """A page, and what went wrong in it since the last look."""

    page: Page
    elsewhere: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Nothing but this machine was asked for anything, and no script of ours failed."""
        elsewhere, self.elsewhere[:] = list(self.elsewhere), []
        broken, self.broken[:] = [text for text in self.broken if "manatee" in text], []
        assert elsewhere == [], elsewhere
        assert broken == [], broken

    def tidy(self) -> None:
        """Close everything that a test opened, kernels too."""
        self.page.evaluate(_TIDY)


_TIDY = """async () => {
  const app = window.jupyterapp;
  for (const area of ['main', 'right']) {
    for (const widget of [...app.shell.widgets(area)]) {
      if (area === 'main' && !widget.isDisposed) widget.dispose();
    }
  }
  for (const close of document.querySelectorAll('.Toastify__toast button[title^="Hide"]')) {
    close.click();
  }
  await app.serviceManager.sessions.shutdownAll();
  await app.commands.execute('filebrowser:activate');
}"""


@contextmanager
def lab_page(browser: Browser, lab: Lab) -> Iterator[Watched]:
    """Open JupyterLab in a workspace of its own."""
    context = browser.new_context(viewport={"width": 1360, "height": 860})
    context.set_default_timeout(20_000)
    found = Watched(context.new_page())
    home = urlsplit(lab.url)

    def asked(url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != home.netloc:
            found.elsewhere.append(url)

    context.on("request", lambda request: asked(request.url))
    found.page.on("pageerror", lambda error: found.broken.append(error.stack or str(error)))
    # a notebook that a test before left while it was being saved says so whenever it likes
    found.page.add_locator_handler(
        found.page.locator('.jp-Dialog[aria-label*="Disposed"]'),
        lambda dialog: dialog.get_by_role("button").last.click(),
    )
    address = home._replace(path="/lab/workspaces/w", query=f"{home.query}&reset")
    found.page.goto(urlunsplit(address))
    found.page.wait_for_selector("#manatee-panel", state="attached")
    found.page.wait_for_selector(".jp-LauncherCard, .jp-Notebook", state="attached")
    try:
        yield found
    finally:
        context.close()


def execute(page: Page, command: str, **arguments: str) -> None:
    """Execute one of JupyterLab's commands, as its menus do."""
    page.evaluate(
        "async ([name, args]) => { await window.jupyterapp.commands.execute(name, args); }",
        [command, arguments],
    )


def set_theme(page: Page, theme: str) -> None:
    """Switch JupyterLab's colours, as its menu does."""
    execute(page, "apputils:change-theme", theme=theme)
    wanted = "true" if theme.endswith("Light") else "false"
    page.wait_for_selector(f"body[data-jp-theme-light='{wanted}']", state="attached")


def open_notebook(page: Page, path: str) -> None:
    """Open a notebook as a double click does, and wait until it can be worked with."""
    execute(page, "docmanager:open", path=path)
    page.wait_for_selector(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook .jp-Cell")


def open_panel(page: Page) -> None:
    """Open the clean room's side panel by its command."""
    # before its layout is restored, Lab opens and closes side panels on its own
    page.wait_for_function("window.jupyterapp !== undefined")
    page.evaluate("() => window.jupyterapp.restored.then(() => null)")
    execute(page, "manatee:open-panel")
    page.wait_for_selector("#manatee-panel:not(.lm-mod-hidden)")
    page.locator("#manatee-panel").get_by_role("tab", name=re.compile("Jobs")).click()


def picture(page: Page, name: str) -> None:
    """Take a screenshot for the tutorial, if they are asked for: `PICTURES=1`."""
    if not os.environ.get("PICTURES"):
        return
    IMAGES.mkdir(parents=True, exist_ok=True)
    page.wait_for_timeout(300)  # menus and notices fade
    taken = Image.open(io.BytesIO(page.screenshot(animations="disabled")))
    # 256 colours: a third of the bytes, and nobody sees the difference
    taken.convert("RGB").quantize(256, kmeans=2).save(IMAGES / f"{name}.png", optimize=True)


def open_job(page: Page, job_id: str) -> Locator:
    """Open a job's page by its row in the panel; returns the page."""
    open_panel(page)
    page.locator(f".mnt-job[data-job='{job_id}']").click()
    found = page.locator(f"article[aria-label='Job {job_id}']")
    found.wait_for()
    return found


def open_form(page: Page, path: str) -> Locator:
    """Open a notebook and the form that submits it."""
    open_notebook(page, path)
    page.get_by_role("button", name="Submit this notebook to the clean room").click()
    form = page.locator("form.mnt-form")
    form.get_by_role("region", name="Pre-flight").wait_for()
    return form


def submit_form(page: Page, form: Locator, purpose: str) -> Locator:
    """Fill in what must be filled in, and submit; returns the job's page."""
    form.get_by_label("Purpose").fill(purpose)
    form.get_by_role("checkbox", name="insurance").check()
    form.get_by_role("button", name="Submit for approval").click()
    found = page.locator("article.mnt-page:visible")
    found.get_by_text(purpose, exact=True).wait_for()
    return found


def retype(page: Page, editor: Locator, text: str) -> None:
    """Replace what stands in a cell; before the focus is there, keys do other things."""
    editor.click()
    expect(editor).to_be_focused()
    page.keyboard.press("Control+A")
    page.keyboard.type(text)
    expect(editor).to_have_text(text)
