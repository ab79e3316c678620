"""Blocks of code in the documentation are carried out, page by page, in a folder of their own.

`python` blocks share one namespace per page. `console` blocks are a shell session: what stands
after `$ ` is run, and every other line must be printed by it (`…` stands for any text). A `yaml`
block whose first line is `# NAME.yaml` makes that file.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = sorted([REPOSITORY / "README.md", *REPOSITORY.glob("docs/[!_]*/**/*.md")])
MUST_HAVE_COMMANDS = {
    "bring-your-own-table.md",
    "key-custody.md",
    "separate-key-broker.md",
    "write-a-policy.md",
}


def carry_out(session: str) -> None:
    """Run a console block; raise AssertionError for a failed command or a line not printed."""
    script, expected = [], []
    continued = False
    for line in session.splitlines():
        if continued or line.startswith("$ "):
            script.append(line if continued else line.removeprefix("$ "))
            continued = line.endswith("\\")
        elif line.strip():
            expected.append(line.strip())
    assert script, "a console block without a command"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(script)],
        capture_output=True,
        text=True,
        timeout=60,
        env={
            "PATH": f"{Path(sys.executable).parent}:{os.defpath}",
            "HOME": os.getcwd(),
            "LANG": "C.UTF-8",
            "MANATEE_HOME": f"{os.getcwd()}/home",
        },
    )
    assert done.returncode == 0, done.stdout + done.stderr
    printed = done.stdout + done.stderr
    for line in expected:
        pattern = ".*".join(re.escape(part) for part in line.split("…"))
        assert re.search(pattern, printed), f"not printed: {line}\n{printed}"


def run_console(example: Example) -> None:
    carry_out(example.parsed)


def write_named_file(example: Example) -> None:
    named = re.match(r"# ([\w-]+\.yaml)\n", example.parsed)
    if named:
        Path(named[1]).write_text(example.parsed)


DOCUMENTS = Sybil(
    parsers=[
        PythonCodeBlockParser(),
        CodeBlockParser("console", run_console),
        CodeBlockParser("yaml", write_named_file),
    ],
    path=str(REPOSITORY),
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_what_a_page_shows_works(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for example in DOCUMENTS.parse(page).examples():
        example.evaluate()


def test_pages_with_commands_keep_them() -> None:
    with_commands = {page.name for page in PAGES if "```console\n$ manatee" in page.read_text()}
    assert with_commands >= MUST_HAVE_COMMANDS


@pytest.mark.parametrize("session", ["$ false", "$ true\nnever printed", "$ false | cat", "words"])
def test_a_session_that_does_not_hold_fails(
    session: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AssertionError):
        carry_out(session)
