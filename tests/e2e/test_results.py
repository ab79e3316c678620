"""What one reads of a released job: proof, comparison, files."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from playwright.sync_api import Page, expect

from manatee.cli._verify import verify

from ._browser import open_job, picture
from ._lab import Lab


def test_one_changed_number_is_one_highlighted_cell(page: Page, released: str) -> None:
    job_page = open_job(page, released)
    job_page.get_by_role("tab", name="Compare").click()
    expect(job_page.get_by_role("status").first).to_have_text("1 cell differs of 3.")
    changed = job_page.locator(".mnt-pair-changed")
    expect(changed).to_have_count(1)
    expect(changed).to_contain_text("mean 7.4")
    expect(changed).to_contain_text("mean 7.5")
    picture(page, "lab-compare")
    job_page.get_by_label("Show cells that agree").check()
    expect(job_page.locator(".mnt-pair")).to_have_count(3)
    expect(changed).to_have_count(1)


def test_every_check_has_a_mark_a_title_and_a_reason(page: Page, released: str) -> None:
    job_page = open_job(page, released)
    job_page.get_by_role("tab", name="Attestation").click()
    checks = job_page.locator(".mnt-check")
    expect(checks.first).to_be_visible()
    for index in range(checks.count()):
        check = checks.nth(index)
        expect(check.get_by_role("img")).to_have_text("✓")
        assert check.locator("strong").inner_text()
        assert check.locator("p").inner_text()
    expect(job_page.get_by_text("SIMULATED TEE", exact=True)).to_be_visible()
    details = job_page.locator("details.mnt-details")
    expect(details.locator("pre")).to_be_hidden()
    details.locator("summary").click()
    expect(details.locator("pre")).to_contain_text("payloadType")


def test_one_failed_check_makes_it_not_verified(page: Page, lab: Lab, released: str) -> None:
    job_page = open_job(page, released)
    job_page.get_by_role("tab", name="Outputs").click()
    page.locator("iframe").wait_for()
    output = lab.desk / "runs" / released / "outputs" / "notebook.ipynb"
    kept = output.read_bytes()
    output.write_bytes(kept.replace(b"mean 7.5", b"mean 9.5"))
    try:
        job_page.get_by_role("tab", name="Attestation").click()
        expect(job_page.get_by_role("heading", name="Not verified")).to_be_visible()
        expect(job_page.get_by_role("img", name="Failed")).not_to_have_count(0)
        expect(job_page.get_by_role("heading", name="VERIFIED, BUT")).to_have_count(0)
        picture(page, "lab-not-verified")
    finally:
        output.write_bytes(kept)


def test_the_run_bundle_can_be_taken_to_an_auditor(
    page: Page, lab: Lab, released: str, tmp_path: Path
) -> None:
    job_page = open_job(page, released)
    with page.expect_download() as started:
        job_page.get_by_role("link", name="Download the run bundle").click()
    data = Path(started.value.path()).read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        archive.extractall(tmp_path)
    assert verify(tmp_path / released, lab.trust).verified


def test_a_released_notebook_has_no_kernel_and_no_shield(page: Page, released: str) -> None:
    job_page = open_job(page, released)
    job_page.get_by_role("tab", name="Outputs").click()
    frame = page.frame_locator("iframe")
    expect(frame.get_by_text("mean 7.5", exact=True)).to_be_visible()
    expect(page.locator(".jp-NotebookPanel")).to_have_count(0)
    name = "Submit this notebook to the clean room"
    expect(page.get_by_role("button", name=name)).to_have_count(0)
    expect(page.get_by_role("button", name="Open a notebook to submit it")).to_be_disabled()
