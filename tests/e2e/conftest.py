"""One clean room with one JupyterLab in front of it, shared by all stories of a test run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ._browser import CHROMIUM, Watched, chromium, lab_page
from ._lab import Lab, notebook, printed, running_lab

playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep all stories on one worker: they share one JupyterLab."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("lab"))


def _missing() -> str:
    if not Path(CHROMIUM).exists():
        return "no Chromium here: apt-get install chromium"
    import manatee_lab

    panel = Path(manatee_lab.__file__).parent / "labextension" / "package.json"
    if not panel.is_file():
        return "JupyterLab's panel is not built: install Node 20, then ./run again"
    return ""


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    if missing := _missing():
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    folder = tmp_path_factory.mktemp("lab")
    with running_lab(folder) as found:
        yield found
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="package")
def browser() -> Iterator[playwright_api.Browser]:
    playwright_api.expect.set_options(timeout=20_000)  # Lab is slow on a busy machine
    with chromium() as found:
        yield found


@pytest.fixture(scope="package")
def window(browser: playwright_api.Browser, lab: Lab) -> Iterator[Watched]:
    """One JupyterLab in one browser window, for all stories that need no other."""
    with lab_page(browser, lab) as found:
        yield found


@pytest.fixture
def page(window: Watched) -> Iterator[playwright_api.Page]:
    """The window with nothing open; the test fails if it asked anybody outside for anything."""
    window.tidy()
    yield window.page
    window.check()


@pytest.fixture(scope="package")
def released(lab: Lab) -> str:
    """A small job that has run and is released; its id."""
    lab.write(
        "small/small.ipynb",
        notebook(
            'print("rows", 3)',
            'print("mean", 7.5)',
            'print("done")',
            outputs={1: [printed("rows 3\n")], 2: [printed("mean 7.4\n")], 3: [printed("done\n")]},
        ),
    )
    job = lab.submit("small/small.ipynb", "One changed number.")
    assert lab.until(job.id).state == "released"
    return job.id
