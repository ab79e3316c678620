"""What an operator does to a database that the service does not use meanwhile."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from manatee.errors import StoreError
from manatee.store._adopt import adopt, is_older
from manatee.store._blobs._folder import FolderPlace
from manatee.store._engines import open_engines
from manatee.store._migrate import (
    HEAD,
    check_references,
    downgrade,
    newest,
    revision_of,
    revisions,
    upgrade,
)

EARLIER = "earlier"
"""Stands for the schema of a database of before there were migrations."""


def migrate_database(
    folder: Path, database_url: str, to: str = HEAD
) -> tuple[str | None, str | None]:
    """Bring a database up or down to a revision, in one transaction.

    One of before there were migrations is adopted, with all its rows.

    Args:
        folder: Of SQLite's file, if there is no URL.
        database_url: As the setting says.
        to: A revision, `head` or `base`.

    Returns:
        The revisions before and after.

    Raises:
        SettingsError: The URL cannot be used.
        StoreError: It cannot be reached, or there is no way between the two revisions.
    """
    engines = open_engines(database_url, folder, migrating=True)
    try:
        with engines.writing.connect() as connection, connection.begin():
            adopted = is_older(connection)
            if adopted:
                adopt(connection, FolderPlace(folder / "blobs"))
            before = revision_of(connection)
            order = [None, *revisions()]
            wanted = {"head": newest(), "base": None}.get(to, to)
            if before not in order or wanted not in order:
                raise StoreError(
                    f"there is no way from schema {before!r} to {to!r}.",
                    hint=f"This release knows {', '.join(revisions())}.",
                )
            if order.index(wanted) >= order.index(before):
                upgrade(connection, to)
            else:
                downgrade(connection, to)
            check_references(connection)
            return EARLIER if adopted else before, revision_of(connection)
    except SQLAlchemyError as error:
        raise StoreError(
            f"the database failed ({type(error).__name__}); its schema is as it was.",
            hint="Is the service stopped, and the server of database_url reachable?",
        ) from error
    finally:
        engines.reading.dispose()


def database_revision(folder: Path, database_url: str) -> tuple[str | None, str]:
    """Return a database's revision, None if it has none, and this release's.

    Raises:
        SettingsError: The URL cannot be used.
        StoreError: It cannot be reached.
    """
    engines = open_engines(database_url, folder)
    try:
        with engines.reading.connect() as connection:
            found = EARLIER if is_older(connection) else revision_of(connection)
            return found, newest()
    except SQLAlchemyError as error:
        raise StoreError(f"the database cannot be read ({type(error).__name__}).") from error
    finally:
        engines.reading.dispose()


def database_time(database_url: str) -> float:
    """Return what a PostgreSQL server takes for the present, seconds since the epoch.

    Raises:
        SettingsError: The URL cannot be used.
        StoreError: It cannot be reached.
    """
    engines = open_engines(database_url, Path())
    try:
        with engines.reading.connect() as connection:
            return float(connection.execute(_NOW).scalar_one())
    except SQLAlchemyError as error:
        raise StoreError(f"the database cannot be read ({type(error).__name__}).") from error
    finally:
        engines.reading.dispose()


_NOW = text("SELECT extract(epoch FROM clock_timestamp())")
