"""Writes the reference pages from the code, so that they cannot differ from it."""

import inspect
from dataclasses import fields
from pathlib import Path

import typer

from manatee.cli._app import app
from manatee.errors import all_errors, meaning
from manatee.jobs import transition_diagram
from manatee.outputs import CHECK_NAMES
from manatee.records import RESOURCE_CLASSES
from manatee.rights import rights_page as rights_table
from manatee.settings import PREFIX, Settings


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines
    )


def errors_page() -> str:
    """Return the page of every error class with its code, HTTP status and exit code."""
    rows = [
        (
            f"`{kind.__name__}`",
            f"`{kind.code}`",
            str(meaning(kind).http_status),
            str(meaning(kind).exit_code),
            "yes" if kind.retryable else "no",
            (inspect.getdoc(kind) or "").splitlines()[0],
        )
        for kind in all_errors()
    ]
    head = ("class", "code", "HTTP status", "exit code", "worth a retry", "meaning")
    return "# Errors\n\n" + _table(head, rows)


def settings_page() -> str:
    """Return the page of every setting, in the words of the class that holds them."""
    rows = [(f"`{PREFIX}{item.name.upper()}`", f"`{item.default}`") for item in fields(Settings)]
    text = inspect.getdoc(Settings) or ""
    described = text.partition("Attributes:")[2].rstrip()
    return "# Settings\n\n" + _table(("variable", "default"), rows) + f"\n```text{described}\n```\n"


def jobs_page() -> str:
    """Return the page of job states and resource classes."""
    rows = [
        (name, f"{item.kernel_memory_bytes >> 20}", str(item.cpus), f"{item.wall_seconds}")
        for name, item in RESOURCE_CLASSES.items()
    ]
    return (
        f"# Jobs\n\n## States\n\n```text\n{transition_diagram()}```\n\n## Resource classes\n\n"
        + _table(("class", "notebook memory, MiB", "CPUs", "wall time, s"), rows)
    )


def checks_page() -> str:
    """Return the page of output checks, in the order in which they are made."""
    return "# Output checks\n\n" + "".join(f"1. `{name}`\n" for name in CHECK_NAMES)


def _commands(command: object, name: str) -> list[tuple[str, ...]]:
    children = getattr(command, "commands", None)
    if children is None:
        return [(f"`{name}`", (getattr(command, "help", "") or "").splitlines()[0])]
    return [row for key, child in children.items() for row in _commands(child, f"{name} {key}")]


def commands_page() -> str:
    """Return the page of every command."""
    rows = _commands(typer.main.get_command(app), "manatee")
    return "# Commands\n\n" + _table(("command", "what it does"), rows)


def rights_page() -> str:
    """Return the rights matrix."""
    return (
        "# Rights\n\n"
        "What a member of an organisation may do in each role. *Own*: the job one submitted. *Own "
        "organisation's*: a data set it provides, a job or project that uses one, its list of "
        "members. *As another party*: of a project, without data in it. *Any*: everything in the "
        "installation. Whoever may not see a thing is told that there is none.\n\n" + rights_table()
    )


PAGES = {
    "errors.md": errors_page,
    "settings.md": settings_page,
    "jobs.md": jobs_page,
    "output-checks.md": checks_page,
    "commands.md": commands_page,
    "rights.md": rights_page,
}


def write_reference(folder: Path) -> None:
    """Write all pages into a folder; they are ignored by version control."""
    folder.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (folder / name).write_text(page())
