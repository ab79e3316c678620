"""The schema's versions, by Alembic. Every step is inside the caller's one transaction.

A migration lies in `migrations/versions`, named by its number; `manatee admin migrate` runs them.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, inspect

from manatee.errors import StoreError

HEAD = "head"
NOTHING = "base"


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def newest() -> str:
    """Return the revision that this release reads and writes."""
    found = ScriptDirectory.from_config(_config()).get_current_head()
    if found is None:
        raise StoreError("this release has no migrations: it is not whole.")
    return found


def revisions() -> list[str]:
    """Return all revisions, oldest first."""
    walked = ScriptDirectory.from_config(_config()).walk_revisions()
    return [item.revision for item in walked][::-1]


def revision_of(connection: Connection) -> str | None:
    """Return a database's revision; None if it has none of ours."""
    return MigrationContext.configure(connection).get_current_revision()


def is_empty(connection: Connection) -> bool:
    """Return whether a database has no table at all."""
    return not inspect(connection).get_table_names()


def require_current(connection: Connection) -> None:
    """Refuse a database of another schema.

    Raises:
        StoreError: It is older, newer, or somebody else's.
    """
    found, wanted = revision_of(connection), newest()
    if found == wanted:
        return
    if found is None and inspect(connection).has_table("schema"):
        raise StoreError(
            "the database is one of an earlier release.",
            hint="Stop the service, back up, and run `manatee admin migrate`.",
        )
    if found is None:
        raise StoreError(
            "the database holds tables, but none of a release of ManaTEE.",
            hint="Give another MANATEE_HOME, or an empty database.",
        )
    if found in revisions():
        raise StoreError(
            f"the database has schema {found}; this release reads {wanted}.",
            hint="Stop the service, back up, and run `manatee admin migrate`.",
        )
    raise StoreError(
        f"the database has schema {found!r}, which this release does not know.",
        hint="It was written by a newer release: use that one.",
    )


def upgrade(connection: Connection, to: str = HEAD) -> None:
    """Bring a database up to a revision. Data are kept.

    Raises:
        StoreError: No such revision, or the database is not at one below it.
    """
    _run(connection, command.upgrade, to)


def downgrade(connection: Connection, to: str) -> None:
    """Bring a database down to a revision; what only newer ones can hold is lost.

    Raises:
        StoreError: As `upgrade`.
    """
    _run(connection, command.downgrade, to)


def check_references(connection: Connection) -> None:
    """Check that every foreign key leads somewhere; PostgreSQL does so by itself.

    Raises:
        StoreError: One does not.
    """
    if connection.dialect.name != "sqlite":
        return
    broken = {row[0] for row in connection.exec_driver_sql("PRAGMA foreign_key_check")}
    if broken:
        raise StoreError(
            f"rows of {', '.join(sorted(broken))} refer to rows that are not there.",
            hint="Restore the database from a backup.",
        )


def _run(connection: Connection, step: object, to: str) -> None:
    try:
        step(_config(connection), to)  # type: ignore[operator]
    except CommandError as error:
        raise StoreError(f"the schema cannot be brought to {to!r}: {error}") from error
