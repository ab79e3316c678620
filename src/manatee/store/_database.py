"""Connections and transactions: the one place where SQLAlchemy's errors become ours.

SQLite runs in WAL mode with `synchronous=FULL`: what was committed survives a power cut. Writers
begin with BEGIN IMMEDIATE, so that two of them wait instead of failing half-way. All SQL that only
SQLite understands is in this module.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event, inspect, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from manatee.errors import StoreError
from manatee.store._schema import SCHEMA_VERSION, Base, SchemaRow

BUSY_SECONDS = 30
"""How long a writer waits for another process's transaction."""

_WRITES = "manatee_writes"


def _configure(connection: Any, _record: Any) -> None:
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


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


class Database:
    """One SQLite file, safe to share between threads."""

    def __init__(self, path: Path) -> None:
        self._engine = create_engine(
            f"sqlite:///{path}",
            connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
            pool_size=16,
            max_overflow=48,
        )
        event.listen(self._engine, "connect", _configure)
        event.listen(self._engine, "begin", _begin)
        self._writing = self._engine.execution_options(**{_WRITES: True})
        # SQLite polls for its write lock; threads of one process queue here instead
        self._turn = threading.Lock()
        self._prepare()

    def _prepare(self) -> None:
        with self.write() as session:
            connection = session.connection()
            if not inspect(connection).has_table(SchemaRow.__tablename__):
                Base.metadata.create_all(connection)
                session.add(SchemaRow(version=SCHEMA_VERSION))
                return
            found = session.scalars(select(SchemaRow.version)).all()
            if list(found) != [SCHEMA_VERSION]:
                raise StoreError(
                    f"the database has schema version {list(found)}; "
                    f"this release reads version {SCHEMA_VERSION}.",
                    hint="Use the release that wrote it, or another MANATEE_HOME.",
                )

    @contextlib.contextmanager
    def read(self) -> Iterator[Session]:
        """Give a session that sees one moment of the database.

        Raises:
            StoreError: The database failed.
        """
        with _translated(), Session(self._engine) as session:
            yield session

    @contextlib.contextmanager
    def write(self) -> Iterator[Session]:
        """Give a session whose block is one transaction: committed wholly at its end, or nothing.

        Raises:
            StoreError: The database failed; nothing was written.
        """
        with self._turn, _translated(), Session(self._writing) as session, session.begin():
            yield session

    def close(self) -> None:
        """Close all idle connections."""
        self._engine.dispose()


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        # the driver's text may quote what was bound to the statement: only its class is told
        raise StoreError(
            f"the database failed ({type(error).__name__}).",
            hint="Check the disk of MANATEE_HOME and try again.",
        ) from error
