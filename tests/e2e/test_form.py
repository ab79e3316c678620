"""What the form asks, and what it sends."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from playwright.sync_api import Locator, Page, Request, Response, expect

from ._browser import execute, open_form, open_job, open_notebook, open_panel, picture, submit_form
from ._lab import Lab, notebook


def sent(page: Page) -> list[Request]:
    """Return a list that fills with submissions."""
    found: list[Request] = []

    def note(request: Request) -> None:
        if request.method == "POST" and request.url.endswith("/manatee/jobs"):
            found.append(request)

    page.on("request", note)
    return found


def test_an_empty_purpose_sends_nothing_and_gets_the_focus(page: Page, lab: Lab) -> None:
    lab.write("purpose/purpose.ipynb", notebook("print(1)"))
    form = open_form(page, "purpose/purpose.ipynb")
    requests = sent(page)
    form.get_by_role("checkbox", name="insurance").check()
    form.get_by_role("button", name="Submit for approval").click()
    expect(form.get_by_label("Purpose")).to_be_focused()
    expect(form.get_by_role("alert")).to_have_text(
        "Say what the results are for: the data providers read this."
    )
    expect(form.get_by_label("Purpose")).to_have_attribute("aria-invalid", "true")
    assert requests == []


def test_what_was_typed_last_is_what_is_submitted(page: Page, lab: Lab, tmp_path: Path) -> None:
    lab.write("edit/edit.ipynb", notebook("print(1)"))
    open_notebook(page, "edit/edit.ipynb")
    editor = page.locator(".jp-NotebookPanel:visible .jp-Cell .cm-content").first
    editor.click()
    page.keyboard.press("Control+End")
    page.keyboard.type("\nlast_edit = 4711")
    form = open_form(page, "edit/edit.ipynb")
    submit_form(page, form, "Saved before it is sent.")
    job = lab.newest()
    archive = tmp_path / "workspace.tar"
    lab.researcher.download_workspace(job, archive)
    with tarfile.open(fileobj=io.BytesIO(archive.read_bytes())) as files:
        member = files.extractfile("edit.ipynb")
        assert member is not None
        assert b"last_edit = 4711" in member.read()
    lab.researcher.cancel(job.id)


def by_palette(page: Page, command: str, shows: Locator) -> None:
    """Execute a command by the command palette, with keys alone, until it `shows` something."""
    first = page.locator(".jp-ModalCommandPalette .lm-CommandPalette-item").first
    for _ in range(5):  # a notebook that is still opening takes the focus, and the palette closes
        page.keyboard.press("Control+Shift+C")
        page.keyboard.type(command)
        try:
            expect(first).to_contain_text(command, timeout=2000)
            page.keyboard.press("Enter")
            expect(shows).to_be_visible(timeout=4000)
        except AssertionError:
            page.keyboard.press("Escape")
            continue
        return
    raise AssertionError("the palette does not stay open")


def test_a_keyboard_alone_opens_the_panel_and_submits(page: Page, lab: Lab) -> None:
    lab.write("keys/keys.ipynb", notebook("print(2)"))
    open_notebook(page, "keys/keys.ipynb")
    by_palette(page, "Open the clean room", page.locator("#manatee-panel"))

    form = page.locator("form.mnt-form")
    by_palette(page, "Submit this notebook to the clean room", form)
    expect(form.get_by_label("Purpose")).to_be_focused()
    form.get_by_role("region", name="Pre-flight").wait_for()
    page.keyboard.type("By keyboard.")
    page.keyboard.press("Tab")  # project
    page.keyboard.press("Tab")  # data set
    page.keyboard.press("Space")
    for _ in range(10):
        if page.evaluate("document.activeElement.type") == "submit":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("article.mnt-page").get_by_text("By keyboard.")).to_be_visible()
    lab.researcher.cancel(lab.newest().id)


def test_a_notebook_can_be_submitted_from_the_file_browser(page: Page, lab: Lab) -> None:
    lab.write("menu.ipynb", notebook("print(3)"))
    execute(page, "filebrowser:activate")
    execute(page, "filebrowser:go-to-path", path="")
    execute(page, "filebrowser:refresh")
    page.locator(".jp-DirListing-item", has_text="menu.ipynb").click(button="right")
    page.get_by_role("menuitem", name="Submit to the clean room").click()
    expect(page.get_by_role("heading", name="Submit menu.ipynb")).to_be_visible()


def test_parameters_keep_their_type_and_a_wrong_one_is_refused(page: Page, lab: Lab) -> None:
    lab.write("numbers/numbers.ipynb", notebook("print(5)"))
    form = open_form(page, "numbers/numbers.ipynb")
    form.get_by_label("rows").fill("many")
    form.get_by_label("Purpose").fill("Numbers.")
    form.get_by_role("checkbox", name="insurance").check()
    form.get_by_role("button", name="Submit for approval").click()
    expect(form.get_by_role("alert")).to_have_text("rows must be a number.")
    form.get_by_label("rows").fill("12")
    submit_form(page, form, "Numbers.")
    job = lab.newest()
    assert job.manifest.parameters == {"rows": 12}
    lab.researcher.cancel(job.id)


def test_a_refusal_of_the_service_is_shown_with_what_to_do(page: Page, lab: Lab) -> None:
    lab.write("refused/refused.ipynb", notebook("print(6)"))
    form = open_form(page, "refused/refused.ipynb")
    form.get_by_label("Project").fill("no-such-project")
    form.get_by_label("Purpose").fill("Refused.")
    form.get_by_role("checkbox", name="insurance").check()
    form.get_by_role("button", name="Submit for approval").click()
    expect(form.get_by_role("alert")).to_contain_text("project")


def test_code_for_a_data_set_is_put_into_the_notebook(page: Page, lab: Lab) -> None:
    lab.write("insert/insert.ipynb", notebook("print(7)"))
    open_notebook(page, "insert/insert.ipynb")
    open_panel(page)
    panel = page.locator("#manatee-panel")
    panel.get_by_role("tab", name="Data sets").click()
    panel.locator("summary").click()
    expect(panel.get_by_text("The twin is differentially private")).to_be_visible()
    expect(panel.get_by_role("region", name="First rows").locator("tbody tr")).to_have_count(5)
    picture(page, "lab-data-sets")
    panel.get_by_role("button", name="Insert code").click()
    expect(page.locator(".jp-Notebook:visible .jp-Cell").nth(1)).to_contain_text(
        'manatee.dataset("insurance")'
    )


def test_no_secret_is_ever_sent_to_the_browser(page: Page, lab: Lab, released: str) -> None:
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer) if asked(answer) else None)
    job_page = open_job(page, released)
    for tab, shown in {
        "Outputs": "iframe",
        "Attestation": ".mnt-check",
        "Compare": ".mnt-pair",
    }.items():
        job_page.get_by_role("tab", name=tab).click()
        job_page.locator(shown).first.wait_for()
    page.locator("#manatee-panel").get_by_role("tab", name="Data sets").click()
    expect(page.locator(".mnt-dataset")).to_have_count(1)
    texts = [answer.text() for answer in answers] + [page.content()]
    assert len(texts) > 5
    for secret in lab.secrets:
        assert all(secret not in text for text in texts)


def asked(answer: Response) -> bool:
    kind = answer.headers.get("content-type", "")
    return "/manatee/" in answer.url and kind.startswith("application/json")
