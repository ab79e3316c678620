"""The main story: from the shield in the notebook's toolbar to the verified proof."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from ._browser import open_notebook, open_panel, picture
from ._lab import Lab


def test_a_notebook_is_submitted_followed_read_and_proved(page: Page, lab: Lab) -> None:
    open_panel(page)
    open_notebook(page, "insurance/notebook.ipynb")
    page.get_by_role("button", name="Submit this notebook to the clean room").click()

    form = page.locator("form.mnt-form")
    expect(form.get_by_text("6 code cells")).to_be_visible()
    form.get_by_label("Purpose").fill("How well do age, weight and smoking explain charges?")
    form.get_by_role("checkbox", name="insurance").check()
    form.get_by_label("Declared outputs").fill("figures.json\nfigure.png")
    picture(page, "lab-form")
    form.get_by_role("button", name="Submit for approval").click()

    job_page = page.locator("article.mnt-page")
    expect(job_page.get_by_text("Waits for approval")).to_be_visible()
    expect(job_page.get_by_text("SIMULATED TEE")).to_be_visible()
    job = lab.newest()
    lab.approve(job)
    expect(job_page.get_by_text("Cell ", exact=False).first).to_be_visible(timeout=30_000)
    picture(page, "lab-progress")
    expect(job_page.locator(".mnt-pill", has_text="Released")).to_be_visible(timeout=60_000)

    job_page.get_by_role("tab", name="Outputs").click()
    frame = job_page.frame_locator("iframe")
    expect(frame.get_by_text("Which insured persons cost how much?")).to_be_visible()
    picture(page, "lab-outputs")

    job_page.get_by_role("tab", name="Attestation").click()
    expect(
        job_page.get_by_role("heading", name="VERIFIED, BUT SIMULATED", exact=True)
    ).to_be_visible()
    expect(job_page.get_by_role("img", name="Failed")).to_have_count(0)
    assert job_page.get_by_role("img", name="Passed").count() > 10
    picture(page, "lab-attestation")
