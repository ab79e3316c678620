"""Transactions: the one place where SQLAlchemy's errors become ours.

What was committed survives a power cut. A database that the service may use has the schema of its
release; a new one gets it, another one is refused until `manatee admin migrate` has been there.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from manatee.errors import StoreError
from manatee.store._engines import Engines
from manatee.store._migrate import is_empty, require_current, upgrade

_ALONE = "manatee_alone"


class Database:
    """One database, safe to share between threads and processes."""

    def __init__(self, engines: Engines) -> None:
        """Use a database; an empty one gets its tables.

        Raises:
            StoreError: It cannot be reached, or has the schema of another release.
        """
        self._engines = engines
        # SQLite polls for its write lock; threads of one process queue here instead
        self._turn = threading.Lock() if engines.take_turns else contextlib.nullcontext()
        try:
            with self.connection() as connection:
                if is_empty(connection):
                    upgrade(connection)
                require_current(connection)
        except BaseException:
            self.close()
            raise

    @contextlib.contextmanager
    def connection(self) -> Iterator[Connection]:
        """Give a connection in a write transaction, for whoever changes the schema.

        Raises:
            StoreError: The database failed; nothing was written.
        """
        with self._turn, _translated(), self._engines.writing.connect() as connection:
            with connection.begin():
                yield connection

    @contextlib.contextmanager
    def read(self) -> Iterator[Session]:
        """Give a session that sees one moment of the database.

        Raises:
            StoreError: The database failed.
        """
        with _translated(), Session(self._engines.reading) as session:
            yield session

    @contextlib.contextmanager
    def write(self) -> Iterator[Session]:
        """Give a session whose block is one transaction: committed wholly at its end, or nothing.

        Writers take turns, over all processes.

        Raises:
            StoreError: The database failed; nothing was written.
        """
        with self._turn, _translated(), Session(self._engines.writing) as session, session.begin():
            session.info[_ALONE] = True
            yield session

    @contextlib.contextmanager
    def write_locked_rows(self) -> Iterator[Session]:
        """Give a session as `write` does, that PostgreSQL lets run beside others of its kind.

        For whoever decides by rows that this transaction has locked, and by nothing that others of
        its kind write: never by how many there are, nor by the last number given. What only `write`
        changes stays as it is meanwhile.

        Raises:
            StoreError: The database failed; nothing was written.
        """
        with self._turn, _translated(), Session(self._engines.sharing) as session, session.begin():
            yield session

    def close(self) -> None:
        """Close all idle connections."""
        self._engines.reading.dispose()


def require_alone(session: Session) -> None:
    """Check that no other write transaction runs beside this one.

    Raises:
        RuntimeError: One may: the caller has a bug, and nothing must be written.
    """
    if not session.info.get(_ALONE, False):
        raise RuntimeError("this is written only in a transaction of Database.write")


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        # the driver's text may quote what was bound to the statement: only its class is told
        raise StoreError(
            f"the database failed ({type(error).__name__}).",
            hint="Check the disk of MANATEE_HOME, or the server of database_url, and try again.",
        ) from error
