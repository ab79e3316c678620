"""Pre-flight as the form shows it."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from ._browser import open_form, picture, retype
from ._lab import Lab, notebook


def test_preflight_names_each_trouble_and_leads_to_its_cell(page: Page, lab: Lab) -> None:
    lab.write(
        "troubles/troubles.ipynb",
        notebook(
            "import pandas as pd\nimport torch",
            "import manatee\nmanatee.dataset('insurance')",
            "pd.read_csv('https://example.org/x.csv')",
        ),
    )
    form = open_form(page, "troubles/troubles.ipynb")
    findings = form.locator(".mnt-finding")
    expect(findings.nth(0)).to_contain_text("torch is not in the runtime.")
    expect(findings.nth(1)).to_contain_text("asks an address on the network")
    expect(findings.nth(2)).to_contain_text("No cell was run on the twin")
    expect(form.get_by_text("data sets used: insurance")).to_be_visible()
    expect(form.get_by_role("checkbox", name="insurance")).to_be_checked()
    expect(form.get_by_role("button", name="Submit for approval")).to_be_disabled()
    findings.nth(0).scroll_into_view_if_needed()
    picture(page, "lab-preflight")
    findings.nth(1).get_by_role("button", name="cell 3, line 1").click()
    active = page.locator(".jp-NotebookPanel:visible .jp-Cell.jp-mod-active")
    expect(active).to_contain_text("read_csv")


def test_a_mended_notebook_passes_when_checked_again(page: Page, lab: Lab) -> None:
    lab.write("mended/mended.ipynb", notebook("import torch"))
    form = open_form(page, "mended/mended.ipynb")
    expect(form.get_by_text("torch is not in the runtime.")).to_be_visible()
    editor = page.locator(".jp-NotebookPanel:visible .jp-Cell .cm-content").first
    retype(page, editor, "import pandas")
    form.get_by_role("button", name="Check again").click()
    expect(form.get_by_text("torch is not in the runtime.")).to_have_count(0)
    expect(form.get_by_role("button", name="Submit for approval")).to_be_enabled()


def test_a_rehearsal_runs_on_the_twin_and_leads_to_what_failed(page: Page, lab: Lab) -> None:
    lab.write(
        "rehearsed/rehearsed.ipynb",
        notebook(
            "import manatee\ntable = manatee.dataset('insurance').to_table()",
            "print('rows of the twin:', table.num_rows > 0)\nraise KeyError('on the twin')",
        ),
    )
    form = open_form(page, "rehearsed/rehearsed.ipynb")
    part = form.get_by_role("region", name="Dress rehearsal")
    part.get_by_role("button", name="Rehearse on the twin").click()
    expect(part.get_by_text("The rehearsal failed")).to_be_visible(timeout=60_000)
    expect(part).to_contain_text("cell 2")
    part.get_by_text("What it would have published").click()
    frame = part.frame_locator("iframe")
    expect(frame.get_by_text("rows of the twin: True")).to_be_visible()
    expect(frame.get_by_text("on the twin").last).to_be_visible()
    part.get_by_role("button", name="Go to cell 2").click()
    active = page.locator(".jp-NotebookPanel:visible .jp-Cell.jp-mod-active")
    expect(active).to_contain_text("raise KeyError")
    retype(page, active.locator(".cm-content"), "print(table.num_rows)")
    part.get_by_role("button", name="Rehearse on the twin").click()
    expect(part.get_by_text("The rehearsal succeeded")).to_be_visible(timeout=60_000)
    assert lab.url, "nothing was submitted"
