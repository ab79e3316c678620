"""A database as one file, and back: SQLite by its online backup, PostgreSQL by its own programs."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.engine import make_url

from manatee.errors import StoreError
from manatee.store._blobs._disk import disk, flush_folder

SQLITE, POSTGRESQL = "sqlite", "postgresql"

PATIENCE_SECONDS = 6 * 3600
"""How long a program of PostgreSQL may take."""


def kind_of(url: str) -> str:
    """Return which database a URL means; the caller has connected to it before."""
    return POSTGRESQL if url else SQLITE


def dump(folder: Path, url: str, target: Path) -> None:
    """Write one moment of a database that may be in use to a file.

    Raises:
        StoreError: It could not be read, or a program of PostgreSQL is missing or failed.
    """
    if url:
        options = ["--format=custom", "--no-owner", "--no-privileges", f"--file={target}"]
        _run("pg_dump", options, url, target.parent)
        return
    try:
        with (
            contextlib.closing(sqlite3.connect(folder / "manatee.db")) as source,
            contextlib.closing(sqlite3.connect(target)) as copy,
        ):
            source.backup(copy)
    except sqlite3.Error as error:
        raise StoreError(f"the database cannot be read ({type(error).__name__}).") from error


def load(folder: Path, url: str, source: Path) -> None:
    """Make a database that is not there yet of such a file; wholly, or not at all.

    Raises:
        StoreError: It could not be written, or a program of PostgreSQL is missing or failed.
    """
    if url:
        options = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"]
        _run("pg_restore", [*options, str(source)], url, source.parent)
        return
    with disk():
        with source.open("rb") as file:
            os.fsync(file.fileno())
        source.rename(folder / "manatee.db")
        flush_folder(folder)


@contextlib.contextmanager
def _reachable(url: str, folder: Path) -> Iterator[str]:
    """Give a URL for a command line, which others may see: the password goes into a file."""
    wanted = make_url(url).set(drivername="postgresql")
    if wanted.password is None:
        yield wanted.render_as_string(hide_password=False)
        return
    escaped = str(wanted.password).replace("\\", "\\\\").replace(":", "\\:")
    path = folder / "pgpass"
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(f"*:*:*:*:{escaped}\n")
    try:
        # `set` would take None for "as it is"
        shown = wanted._replace(password=None).update_query_dict({"passfile": str(path)})
        yield shown.render_as_string(hide_password=False)
    finally:
        path.unlink()


def _run(program: str, options: list[str], url: str, folder: Path) -> None:
    found = shutil.which(program)
    if found is None:
        raise StoreError(f"{program} is not here.", hint="Install PostgreSQL's client programs.")
    with _reachable(url, folder) as reachable:
        try:
            done = subprocess.run(
                [found, *options, f"--dbname={reachable}", "--no-password"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # may quote rows
                timeout=PATIENCE_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise StoreError(f"{program} took too long.") from error
    if done.returncode != 0:
        raise StoreError(
            f"{program} failed with code {done.returncode}.",
            hint="Is it as new as the server, and may its role read all tables, or make them?",
        )
