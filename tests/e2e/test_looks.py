"""Light, dark, narrow: readable, reachable, and nothing hangs over an edge."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from ._browser import open_form, open_job, open_panel, picture, set_theme
from ._lab import REPOSITORY, Lab, notebook

AXE = REPOSITORY / "jupyterlab" / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(params=["JupyterLab Light", "JupyterLab Dark"])
def themed(request: pytest.FixtureRequest, page: Page) -> Iterator[Page]:
    set_theme(page, request.param)
    yield page
    set_theme(page, "JupyterLab Light")


@pytest.fixture(autouse=True)
def axe_is_here() -> None:
    if not AXE.is_file():
        if os.environ.get("CI"):
            pytest.fail("no axe here: `npm ci` was not run in jupyterlab/")
        pytest.skip("no axe here: `npm ci` was not run in jupyterlab/")


def violations(page: Page, selector: str) -> list[str]:
    """Return what axe finds wrong in one part of the page."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(Path(AXE).read_text())
    # JupyterLab's body has no height, and axe takes what lies outside of it for hidden
    style = page.add_style_tag(
        content="html,body{height:100vh!important;width:100vw!important;overflow:visible!important}"
    )
    options = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], "iframes": False}
    found: list[dict[str, Any]] = page.evaluate(
        "([selector, options]) => axe.run(selector, options).then(r => r.violations)",
        [selector, options],
    )
    style.evaluate("node => node.remove()")
    return [f"{item['id']}: {node['html'][:200]}" for item in found for node in item["nodes"]]


def test_axe_finds_what_is_wrong_so_that_its_silence_counts(page: Page) -> None:
    open_panel(page)
    page.evaluate(
        "() => document.querySelector('.mnt-panel').insertAdjacentHTML('afterbegin',"
        " '<p id=faint style=\"color:#999;background:#aaa\">faint</p>')"
    )
    assert any("faint" in found for found in violations(page, "#manatee-panel"))
    page.evaluate("() => document.getElementById('faint').remove()")


def test_every_view_is_accessible_in_both_themes(themed: Page, lab: Lab, released: str) -> None:
    page = themed
    dark = page.locator("body").get_attribute("data-jp-theme-light") == "false"
    job_page = open_job(page, released)
    assert violations(page, "#manatee-panel") == []
    for tab in ("Progress", "Outputs", "Attestation", "Compare", "Submission"):
        job_page.get_by_role("tab", name=tab).click()
        expect(job_page.locator(".mnt-busy")).to_have_count(0)
        assert violations(page, "article.mnt-page") == [], tab
        if dark and tab == "Attestation":
            picture(page, "lab-dark")
    page.locator("#manatee-panel").get_by_role("tab", name="Data sets").click()
    page.locator(".mnt-dataset summary").click()
    assert violations(page, "#manatee-panel") == []
    page.locator("#manatee-panel").get_by_role("tab", name=re.compile("Jobs")).click()
    lab.write("looks/looks.ipynb", notebook("import torch\n!pip install torch"))
    form = open_form(page, "looks/looks.ipynb")
    expect(form.get_by_text("torch is not in the runtime.")).to_be_visible()
    form.get_by_label("Purpose").fill("")
    assert violations(page, "form.mnt-form") == []


@pytest.mark.parametrize("width", [180, 240])
def test_nothing_hangs_over_the_edge_of_a_narrow_panel(
    page: Page, released: str, width: int
) -> None:
    open_panel(page)
    assert released
    page.evaluate(
        "width => { const panel = document.querySelector('#manatee-panel');"
        " panel.style.setProperty('width', width + 'px', 'important') }",
        width,
    )
    for tab in (re.compile("Jobs"), "Data sets"):
        page.locator("#manatee-panel").get_by_role("tab", name=tab).click()
        if tab == "Data sets":
            page.locator(".mnt-dataset summary").click()
        wide = page.evaluate(
            "() => { const panel = document.querySelector('.mnt-panel');"
            " const edge = panel.getBoundingClientRect().right + 1;"
            " return [...panel.querySelectorAll('*')].filter(node =>"
            "   !node.closest('.mnt-scroll') && node.getBoundingClientRect().right > edge)"
            "   .map(node => node.outerHTML.slice(0, 120)) }"
        )
        assert wide == []
    page.locator("#manatee-panel").get_by_role("tab", name=re.compile("Jobs")).click()
    page.evaluate("() => document.querySelector('#manatee-panel').style.removeProperty('width')")
