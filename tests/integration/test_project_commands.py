"""The commands of `docs/how-to/set-up-a-project.md`, against a running service."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from manatee.api import create_app, serve_in_thread
from manatee.testing import ControlPlane
from manatee.testing._control_plane import RUNTIME

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "set-up-a-project.md"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("commands")
    plane = ControlPlane(folder)
    later = plane.clock().replace(year=plane.clock().year + 1)
    for name, roles, organisation in (
        ("dora", ("data_provider", "output_reviewer"), "clinic"),
        ("ada", ("researcher",), "university"),
        ("ben", ("auditor",), "elsewhere"),
    ):
        plane.store.accounts.add(name, roles, organisation=organisation)
        plane.tokens[name] = plane.store.accounts.issue_token(name, expires_at=later)
    app = create_app(plane.store, plane.settings, plane.clock, runtimes=[RUNTIME])
    example = re.search(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert example is not None
    now = plane.clock().strftime("%Y-%m-%dT%H:%M:%SZ")
    text = example[1].replace("2026-12-01T00:00:00Z", now)
    assert text != example[1]
    (folder / "statins.yaml").write_text(text.replace("2027-06-01", "2099-06-01"))
    with serve_in_thread(app) as url:

        def command(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, "-m", "manatee.cli", *arguments],
                capture_output=True,
                text=True,
                timeout=60,
                cwd=folder,
                env={"MANATEE_URL": url, "MANATEE_TOKEN": plane.tokens[name], "HOME": str(folder)},
            )

        yield command
    plane.store.close()


def done(completed: subprocess.CompletedProcess[str]) -> str:
    assert completed.returncode == 0, completed.stderr
    return completed.stdout


def test_the_page_from_people_to_stop(run: Run) -> None:
    done(run("olga", "organisation", "member", "university", "ben", "researcher", "--days", "90"))
    shown = done(run("olga", "organisation", "show", "university"))
    assert re.search(r"^ben\tresearcher\t20", shown, re.MULTILINE)
    assert "university\tresearcher" in done(run("ben", "whoami"))
    done(run("olga", "organisation", "end", "university", "ben", "researcher"))
    assert "university" not in done(run("ben", "whoami"))
    limits = ("--jobs", "10", "--guest-hours", "200", "--storage-gib", "50")
    assert "0 of 10" in done(run("olga", "organisation", "quota", "university", *limits))

    assert "proposed" in done(run("ada", "project", "propose", "statins.yaml"))
    answer = json.loads(done(run("dora", "project", "show", "statins", "-o", "json")))
    assert answer["agreed"] == ["university"]
    wrong = run("dora", "project", "agree", "statins", "sha256:" + "0" * 64)
    assert wrong.returncode == 5
    assert "Read the project again" in wrong.stderr
    assert "open" in done(run("dora", "project", "agree", "statins", answer["digest"]))
    assert "statins\topen" in done(run("ada", "project", "list"))
    assert "statins" not in done(run("ben", "project", "list"))
    assert run("ben", "project", "show", "statins").returncode == 4

    asked = run("dora", "project", "stop", "statins", "--reason", "a subject withdrew")
    assert asked.returncode != 0, "nobody said yes"
    reason = ("--reason", "a subject withdrew", "--yes")
    assert "a subject withdrew" in done(run("dora", "project", "stop", "statins", *reason))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: [", "YAML"),
        ("name: x", "must hold the member purpose"),
        ("- 1\n", "object"),
        ("x" * (1 << 20) + "y", "bytes"),
    ],
    ids=["no-yaml", "half", "list", "huge"],
)
def test_a_file_that_is_no_project_is_told_and_sends_nothing(
    run: Run, tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    completed = run("ada", "project", "propose", str(file))
    assert completed.returncode == 2
    assert said in completed.stderr
