"""The two databases: how to connect, and how a transaction begins. All their own SQL is here.

Both make writers take turns, over all processes: SQLite by BEGIN IMMEDIATE, PostgreSQL by one
advisory lock that a writing transaction takes first and holds until its end. So whatever a write
transaction has looked at (how many jobs wait, who holds a lease) is still so when it commits.
On PostgreSQL transactions that look at nothing but rows they have locked take the lock shared: they
run beside one another, and never beside one that has it alone.
"""

from __future__ import annotations

import re
import select
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, InvalidatePoolError

from manatee._clock import monotonic
from manatee.errors import SettingsError

BUSY_SECONDS = 30
"""How long a writer waits for another one's transaction."""

WRITERS = 7_236_228_001
"""The advisory lock of writers: a number that nothing else on that database uses."""

POOL_SIZE, POOL_MORE = 16, 48

IDLE_SECONDS = 60
"""After so long unused, a connection is asked whether its server still answers."""

_WRITES = "manatee_writes"


@dataclass(frozen=True)
class Engines:
    """One database, to read and to write.

    Attributes:
        sharing: Writes rows that its transaction has locked, beside others that do.
        take_turns: Whether threads of one process must queue for writing before they ask the
            database, which would else poll.
    """

    reading: Engine
    writing: Engine
    sharing: Engine
    take_turns: bool


def open_engines(url: str, folder: Path, *, migrating: bool = False) -> Engines:
    """Connect lazily to PostgreSQL, or to SQLite in a folder if there is no URL.

    Args:
        url: As the setting `database_url` says.
        folder: Of SQLite's file.
        migrating: Whoever changes SQLite's tables by making them anew must not have it follow
            foreign keys meanwhile, and must check them at the end.

    Raises:
        SettingsError: The URL is none of PostgreSQL, or its library is not here.
    """
    return _postgresql(url) if url else _sqlite(folder / "manatee.db", migrating=migrating)


def without_password(url: str) -> str:
    """Return a database URL that may be shown."""
    return re.sub(r"(://[^/@:]*):[^@/]*@", r"\1:…@", url)


def _sqlite(path: Path, *, migrating: bool) -> Engines:
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
        pool_size=POOL_SIZE,
        max_overflow=POOL_MORE,
    )
    event.listen(engine, "connect", _migrate_sqlite if migrating else _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    writing = engine.execution_options(**{_WRITES: "alone"})
    return Engines(engine, writing, writing, take_turns=True)


def _migrate_sqlite(connection: Any, record: Any) -> None:
    _configure_sqlite(connection, record)
    connection.execute("PRAGMA foreign_keys=OFF")


def _configure_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={BUSY_SECONDS * 1000}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN" if writes is None else "BEGIN IMMEDIATE")


def _postgresql(url: str) -> Engines:
    try:
        wanted = make_url(url)
    except ArgumentError as error:
        raise SettingsError("database_url is no URL.", hint=_HINT) from error
    if wanted.get_backend_name() != "postgresql":
        raise SettingsError("database_url is not one of PostgreSQL.", hint=_HINT)
    if "password" in wanted.query:
        raise SettingsError(
            "database_url has a password among its options.",
            hint="Put it into the file that PGPASSFILE names, or behind the user's name.",
        )
    try:
        engine = create_engine(
            wanted.set(drivername="postgresql+psycopg"),
            isolation_level="REPEATABLE READ",
            pool_size=POOL_SIZE,
            max_overflow=POOL_MORE,
            connect_args={
                "connect_timeout": 10,
                "options": f"-c timezone=UTC -c lock_timeout={BUSY_SECONDS}s",
            },
        )
    except ImportError as error:
        raise SettingsError(
            "PostgreSQL needs the library psycopg.", hint="Install manatee[postgresql]."
        ) from error
    reading = engine.execution_options(postgresql_readonly=True)
    # READ COMMITTED: each statement sees what was committed before it, so also before the lock
    writing = engine.execution_options(isolation_level="READ COMMITTED", **{_WRITES: "alone"})
    sharing = engine.execution_options(isolation_level="READ COMMITTED", **{_WRITES: "beside"})
    event.listen(engine, "begin", _begin_postgresql)
    event.listen(engine, "checkin", _note_use)
    event.listen(engine, "checkout", _alive(engine))
    return Engines(reading, writing, sharing, take_turns=False)


_LOCKS = {
    "alone": f"SELECT pg_advisory_xact_lock({WRITERS})",
    "beside": f"SELECT pg_advisory_xact_lock_shared({WRITERS})",
}


def _begin_postgresql(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES)
    if writes is not None:
        connection.exec_driver_sql(_LOCKS[writes])


def _note_use(_connection: Any, record: Any) -> None:
    record.info["used"] = monotonic()


def _alive(engine: Engine) -> Callable[[Any, Any, Any], None]:
    """Return what has a server that was restarted found again at the next use.

    A connection that nobody uses is silent: where there is something to read, the server said that
    it goes. So the usual case costs no round trip.
    """
    dialect: Any = engine.dialect

    def look(connection: Any, record: Any, _proxy: Any) -> None:
        recent = monotonic() - record.info.get("used", monotonic()) < IDLE_SECONDS
        try:
            if not recent or _said_something(connection.fileno()):
                dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error

    return look


def _said_something(descriptor: int) -> bool:
    asked = select.poll()
    asked.register(descriptor, select.POLLIN)
    return bool(asked.poll(0))


_HINT = "Such as postgresql://manatee@db.example/manatee; empty for SQLite in MANATEE_HOME."
