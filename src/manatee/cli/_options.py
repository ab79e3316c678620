"""Options that several commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from manatee.cli._output import Format
from manatee.errors import SettingsError
from manatee.settings import load_settings

if TYPE_CHECKING:
    from manatee.client import ManateeClient

Output = Annotated[
    Format, typer.Option("-o", "--output", help="Form of the answer on standard output.")
]


def open_client() -> ManateeClient:
    """Return a client of the service that `MANATEE_URL` and `MANATEE_TOKEN` name.

    Raises:
        SettingsError: One of them is missing.
    """
    from manatee.client import ManateeClient

    settings = load_settings()
    for name, value in (("MANATEE_URL", settings.url), ("MANATEE_TOKEN", settings.token)):
        if not value:
            raise SettingsError(
                f"{name} is not set.",
                hint="The operator tells you the URL and issues your token.",
            )
    return ManateeClient(settings.url, settings.token)
