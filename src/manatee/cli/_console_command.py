"""`manatee console`: the web console on one's own machine, with one's own keys."""

from __future__ import annotations

import secrets
import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from manatee.errors import SettingsError
from manatee.settings import load_settings


def console(
    approver_key: Annotated[
        Path | None, typer.Option(help="Signs approvals, as `manatee new-approver-key` made it.")
    ] = None,
    approver_name: Annotated[str, typer.Option(help="Name that your approvals carry.")] = "",
    identity: Annotated[
        Path | None, typer.Option(help="Opens outputs, as `manatee new-identity` made it.")
    ] = None,
    trust: Annotated[Path | None, typer.Option(help="Whom you trust, to verify runs.")] = None,
    audit_trust: Annotated[
        Path | None, typer.Option(help="The audit log you believe (`manatee admin audit-trust`).")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; keys are used on 127.0.0.1 only.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address.")] = False,
) -> None:
    """Start the web console of the service that MANATEE_URL names, and print its address.

    With MANATEE_TOKEN set the printed address signs you in, once. Keys stay on this machine. For
    several people, start it without keys and put a TLS proxy before it.
    """
    from manatee.api import serve
    from manatee.bundle import NOTHING_TRUSTED, read_trust
    from manatee.cli._audit_commands import read_log_trust
    from manatee.cli._people import read_approver_key, read_identity
    from manatee.console import OwnKeys, close_console, create_console

    settings = load_settings()
    if not settings.url:
        raise SettingsError("MANATEE_URL is not set.", hint="The operator tells you the URL.")
    if host != "127.0.0.1" and (approver_key or identity):
        raise SettingsError(
            "keys are used on 127.0.0.1 only.", hint="Leave out --host, or the keys."
        )
    keys = OwnKeys(
        approver=None if approver_key is None else read_approver_key(approver_key).raw,
        approver_name=approver_name,
        identity="" if identity is None else read_identity(identity).identity,
        trust=NOTHING_TRUSTED if trust is None else read_trust(trust),
        audit_trust=None if audit_trust is None else read_log_trust(audit_trust),
        start_code=secrets.token_urlsafe(16) if settings.token else "",
        token=settings.token,
    )
    if keys.approver is not None and not approver_name:
        raise SettingsError("--approver-name is missing.", hint="It stands in your approvals.")

    def started(url: str) -> None:
        address = f"{url}/start/{keys.start_code}" if keys.start_code else f"{url}/sign-in"
        typer.echo(address)
        sys.stdout.flush()
        if not no_browser:
            webbrowser.open(address)

    app = create_console(settings.url, keys)
    try:
        serve(app, host=host, port=port, on_started=started)
    finally:
        close_console(app)
