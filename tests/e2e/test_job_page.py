"""What one sees of a job that does not go as hoped."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, expect

from manatee.records import JobAnswer

from ._browser import lab_page, open_form, open_job, open_panel, picture, submit_form
from ._lab import Lab, notebook
from ._proxy import wire


def test_a_failing_cell_is_named_and_can_be_gone_to(page: Page, lab: Lab) -> None:
    lab.write("fails/fails.ipynb", notebook("x = 0", "y = 1", "1 / x", "print(x)"))
    form = open_form(page, "fails/fails.ipynb")
    job_page = submit_form(page, form, "It divides by zero.")
    lab.approve(lab.newest())
    alert = job_page.get_by_role("alert")
    expect(alert).to_contain_text("Cell 3, line 1 raised ZeroDivisionError.", timeout=40_000)
    notice = page.locator(".Toastify__toast--error")
    expect(notice).to_contain_text("fails.ipynb: Cell 3, line 1 raised ZeroDivisionError.")
    picture(page, "lab-failure")
    page.wait_for_timeout(6000)
    expect(notice).to_be_visible()  # a failure stays until it is read
    alert.get_by_role("button", name="Go to cell 3").click()
    active = page.locator(".jp-NotebookPanel:visible .jp-Cell.jp-mod-active")
    expect(active).to_contain_text("1 / x")


def test_a_dead_kernel_is_explained_in_a_plain_sentence(page: Page, lab: Lab) -> None:
    lab.write(
        "dies/dies.ipynb", notebook("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    )
    job = lab.submit("dies/dies.ipynb", "It dies.")
    job_page = open_job(page, job.id)
    expect(job_page.get_by_role("alert")).to_contain_text(
        "The notebook’s kernel died.", timeout=40_000
    )


def processes_of(job: JobAnswer) -> list[str]:
    """Return the processes of a job's guests, by command line or control group."""
    name = job.job_digest.removeprefix("sha256:")[:32].encode()
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if name in (path / "cmdline").read_bytes() + (path / "cgroup").read_bytes():
                found.append(path.name)
    return found


def test_a_running_job_is_cancelled_at_once_and_leaves_no_process(page: Page, lab: Lab) -> None:
    lab.write("sleeps/sleeps.ipynb", notebook("import time\ntime.sleep(120)", "print(1)"))
    form = open_form(page, "sleeps/sleeps.ipynb")
    job_page = submit_form(page, form, "It sleeps.")
    job = lab.newest()
    lab.approve(job)
    expect(job_page.get_by_text("Cell 1 of 2")).to_be_visible(timeout=40_000)
    assert processes_of(job)
    before = time.monotonic()
    job_page.get_by_role("button", name="Cancel the job").click()
    expect(job_page.locator(".mnt-pill", has_text=re.compile("cancelled", re.I))).to_be_visible()
    assert time.monotonic() - before < 1
    expect(job_page.locator(".mnt-pill", has_text="Cancelled")).to_be_visible()
    lab.until(job.id)
    deadline = time.monotonic() + 5  # the kernel may still be taking them off its list
    while processes_of(job) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_of(job) == []


def test_a_cut_stream_says_so_and_recovers(browser: Browser, lab: Lab) -> None:
    port = urlsplit(lab.url).port
    assert port is not None
    with wire(port) as cable:
        through = replace(lab, url=lab.url.replace(f":{port}/", f":{cable.port}/"))
        with lab_page(browser, through) as window:
            page = window.page
            open_panel(page)
            sign = page.locator(".mnt-connection")
            expect(sign).to_have_text("researcher")
            cable.cut()
            expect(sign).to_have_text("Reconnecting…")
            lab.write("later/later.ipynb", notebook("print('later')"))
            job = lab.submit_only("later/later.ipynb", "Submitted while nobody saw.")
            cable.mend()
            expect(sign).to_have_text("researcher", timeout=15_000)
            expect(page.locator(f".mnt-job[data-job='{job.id}']")).to_be_visible()
            lab.researcher.cancel(job.id)


def test_a_job_is_submitted_again_with_changes(page: Page, lab: Lab, released: str) -> None:
    job_page = open_job(page, released)
    job_page.get_by_role("button", name="Submit again with changes").click()
    form = page.locator("form.mnt-form")
    expect(form.get_by_role("heading", name="Submit again: small.ipynb")).to_be_visible()
    expect(form.get_by_label("Purpose")).to_have_value("One changed number.")
    form.get_by_label("rows").fill("9")
    form.get_by_role("button", name="Submit for approval").click()
    expect(page.get_by_role("article").filter(has_text="Waits for approval")).to_be_visible()
    again = lab.newest()
    assert again.id != released
    assert again.manifest.parameters == {"rows": 9}
    lab.researcher.cancel(again.id)
