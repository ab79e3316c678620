"""The panel's first render with few and very many jobs; what the panel weighs.

    python benchmarks/lab.py [--jobs 1 1000 10000] [--rounds 5]

A real service over SQLite, a real JupyterLab, Debian's Chromium. The table is filled by SQL with
ended jobs of one researcher. Measured in the browser: from the moment the panel asks for the first
page of jobs until its first row stands in the document, and from pressing "Show older jobs" until
the next page does. The bundle is what the browser loads for the panel.
"""

from __future__ import annotations

import argparse
import gzip
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import manatee_lab
from control_plane import _FILL, _NUMBERS
from playwright.sync_api import Browser, Page, sync_playwright
from sqlalchemy import text

from manatee.api import create_app, serve_in_thread
from manatee.cli._lab import DeskFiles, prepare_stage_one, running_jupyter
from manatee.cli._people import Identity
from manatee.client import ManateeClient
from manatee.sealing import new_identity
from manatee.settings import load_settings
from manatee.testing import ControlPlane
from manatee.testing._control_plane import RUNTIME

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]

WATCH = """
  window.seen = null;
  performance.setResourceTimingBufferSize(5000);
  new MutationObserver(() => {
    if (window.seen === null && document.querySelector('.mnt-job')) window.seen = performance.now();
  }).observe(document, {subtree: true, childList: true});
"""
ASKED = """() => performance.getEntriesByType('resource')
  .find(entry => new URL(entry.name).pathname.endsWith('/manatee/jobs')).startTime"""
OLDER = """async () => {
  const rows = () => document.querySelectorAll('.mnt-job').length;
  const button = document.querySelector('.mnt-end button');
  if (!button) return null;
  const before = rows(), began = performance.now();
  button.click();
  while (rows() === before) await new Promise(requestAnimationFrame);
  return performance.now() - began;
}"""


def fill(plane: ControlPlane, many: int) -> None:
    """Make so many ended jobs, with ids of the service's form."""
    job = plane.submit()
    with plane.store.database.connection() as connection:
        for into, select in _FILL:
            named = select.replace("'job-old-' || i", "printf('job-%016x', i)")
            named = named.replace("'sha256:old-' || i", "printf('sha256:%064x', i)")
            statement = f"{_NUMBERS['sqlite']}{into} {named}"
            connection.execute(text(statement), {"many": many - 1, "job": job.id})


@contextmanager
def lab_with(many: int) -> Iterator[str]:
    """Run JupyterLab in front of a service with so many jobs."""
    with tempfile.TemporaryDirectory(prefix="manatee-benchmark-") as name:
        folder = Path(name)
        plane = ControlPlane(folder / "plane")
        fill(plane, many)
        app = create_app(plane.store, plane.settings, plane.clock, runtimes={RUNTIME})
        identity, recipient = new_identity()
        with serve_in_thread(app) as url:
            DeskFiles(
                folder=folder / "desk",
                url=url,
                token=plane.tokens["alice"],
                identity=Identity(identity=identity, recipient=recipient),
                trust=None,
                runtime_digest=RUNTIME,
                projects=("study",),
                tee="simulated",
                runtime=load_settings().runtime,
            ).write()
            work = folder / "work"
            with ManateeClient(url, plane.tokens["alice"]) as client:
                runtime = load_settings().runtime
                prepare_stage_one(work, folder / "desk", client, runtime=runtime, notebooks=[])
            options = ["--LabApp.expose_app_in_browser=True"]
            with running_jupyter(work, folder / "desk", options=options) as (address, _):
                yield address
        plane.store.close()


def render(browser: Browser, address: str) -> tuple[float, float | None]:
    """Return milliseconds to the first row, and to the second page."""
    context = browser.new_context(viewport={"width": 1360, "height": 400})
    context.add_init_script(WATCH)
    page: Page = context.new_page()
    page.goto(address)
    page.wait_for_selector("#manatee-panel", state="attached")
    page.evaluate("async () => { await jupyterapp.commands.execute('manatee:open-panel'); }")
    page.wait_for_function("() => window.seen !== null")
    first: float = page.evaluate("() => window.seen") - page.evaluate(ASKED)
    older: Any = page.evaluate(OLDER)
    context.close()
    return first, older


def bundle() -> tuple[int, int]:
    """Return the bytes of what the browser loads, plain and gzipped."""
    folder = Path(manatee_lab.__file__).parent / "labextension" / "static"
    scripts = [path.read_bytes() for path in sorted(folder.glob("*.js"))]
    return sum(map(len, scripts)), sum(len(gzip.compress(script)) for script in scripts)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 1000, 10_000])
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    plain, packed = bundle()
    print(f"bundle: {plain / 1000:.1f} kB, gzipped {packed / 1000:.1f} kB")
    print(f"{'jobs':>8} {'first row, ms':>15} {'next page, ms':>15}   median of {given.rounds}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for many in given.jobs:
            with lab_with(many) as address:
                rounds = [render(browser, address) for _ in range(given.rounds)]
            first = statistics.median(item[0] for item in rounds)
            older = [item[1] for item in rounds if item[1] is not None]
            second = f"{statistics.median(older):.0f}" if older else "–"
            print(f"{many:>8} {first:>15.0f} {second:>15}", flush=True)
        browser.close()


if __name__ == "__main__":
    main()
