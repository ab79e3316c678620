"""`manatee preflight`: what would stop a notebook, before anybody is asked to approve it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from manatee.cli._options import Output, open_client
from manatee.cli._output import Format, print_json, print_rows
from manatee.errors import NotebookError, meaning
from manatee.settings import load_settings


def preflight(
    notebook: Annotated[Path, typer.Argument(help="The notebook.")],
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask no service which data sets there are.")
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """Look at a notebook without running it; ends with code 2 if something must be mended."""
    from manatee.preflight import importable_modules, own_modules
    from manatee.preflight import preflight as look

    try:
        data = notebook.read_bytes()
    except OSError as error:
        raise NotebookError(f"{notebook} cannot be read ({error.strerror}).") from error
    granted = None
    if not offline:
        with open_client() as client:
            granted = [entry.publication.dataset.name for entry in client.datasets()]
    found = look(
        data,
        modules=importable_modules(load_settings().runtime),
        own=own_modules(notebook.absolute().parent),
        granted=granted,
    )
    if output is Format.JSON:
        print_json(
            {
                "ready": found.ready,
                "datasets": list(found.datasets),
                "findings": [dataclasses.asdict(item) for item in found.findings],
            }
        )
    else:
        rows = [
            (
                item.severity,
                "" if item.cell is None else f"cell {item.cell}",
                "" if item.line is None else f"line {item.line}",
                f"{item.message} {item.advice}",
            )
            for item in found.findings
        ]
        print_rows(("", "cell", "line", "found"), rows)
    if not found.ready:
        raise typer.Exit(meaning(NotebookError).exit_code)
