"""Commands for the operator's database: its schema, up and down, and backups."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from manatee.cli._audit_commands import check, trust
from manatee.settings import load_settings


def migrate(
    to: Annotated[
        str, typer.Option(help="Revision; `head` is this release's. Lower ones lose data.")
    ] = "head",
) -> None:
    """Bring the database to the schema of this release. Stop the service and back up first.

    All of it happens in one transaction, or nothing does.
    """
    from manatee.store import migrate_database

    settings = load_settings()
    before, after = migrate_database(settings.home, settings.database_url, to)
    typer.echo(f"schema {before or 'empty'} -> {after or 'empty'}")


def schema() -> None:
    """Print the database's schema revision and this release's."""
    from manatee.store import database_revision

    settings = load_settings()
    found, wanted = database_revision(settings.home, settings.database_url)
    typer.echo(f"database {found or 'empty'}, release {wanted}")


def backup(
    file: Annotated[Path, typer.Argument(help="The backup to write; there must be none yet.")],
) -> None:
    """Write database and blobs to one file, while the service runs or not.

    The file holds ciphertext, people's names, code and digests of tokens: keep it as the database.
    Not in it: the log of runs and its key, key brokers, guests.
    """
    from manatee.store import Installation, back_up

    settings = load_settings()
    at = Installation(settings.home, settings.database_url, settings.blob_store_url)
    head = back_up(at, file)
    typer.echo(f"schema {head.revision}, {len(head.blobs)} blobs")


def restore(file: Annotated[Path, typer.Argument(help="A backup.")]) -> None:
    """Bring a backup into an installation without a database. Every digest is checked."""
    from manatee.store import Installation
    from manatee.store import restore as bring_back

    settings = load_settings()
    at = Installation(settings.home, settings.database_url, settings.blob_store_url)
    head = bring_back(at, file)
    typer.echo(f"schema {head.revision}, {len(head.blobs)} blobs")


def link_hub_user(
    account: Annotated[str, typer.Argument(help="Of this service.")],
    hub_user: Annotated[str, typer.Argument(help="Name of the person at the JupyterHub.")],
) -> None:
    """Let a user of the JupyterHub that MANATEE_HUB_API_URL names act as an account."""
    from manatee.cli._accounts import link_hub_user as link

    settings = load_settings()
    link(settings, account, hub_user)
    typer.echo(f"{hub_user} of the hub acts as {account}")


def add_to(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    admin = typer.Typer(no_args_is_help=True, help="The installation's database (operator).")
    admin.command()(migrate)
    admin.command()(schema)
    admin.command()(backup)
    admin.command()(restore)
    admin.command()(check)
    admin.command("audit-trust")(trust)
    admin.command()(link_hub_user)
    app.add_typer(admin, name="admin")
