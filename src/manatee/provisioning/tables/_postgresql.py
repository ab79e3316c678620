"""Tables of a PostgreSQL server as streams: COPY as CSV, read like any other CSV table."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from manatee.contracts import Table, quoted
from manatee.errors import TableError
from manatee.provisioning.tables._readers import Raw, csv_batches, relation

_MOMENT = '\'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\''


@contextmanager
def connect(dsn: str) -> Iterator[Any]:
    """Open a read-only connection; what it reads is one snapshot.

    Raises:
        TableError: psycopg is not installed, or the server cannot be reached. The message never
            holds the DSN, which may hold a password.
    """
    try:
        import psycopg
    except ImportError as error:
        raise TableError(
            "PostgreSQL needs the library psycopg.", hint="pip install 'manatee[postgresql]'"
        ) from error
    try:
        connection = psycopg.connect(dsn)
    except psycopg.Error:
        raise TableError(
            "the PostgreSQL server cannot be reached, or refuses this user.",
            hint="Check host, database, user and password of the DSN.",
        ) from None
    try:
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("SET LOCAL TimeZone = 'UTC'")
        yield connection
    finally:
        connection.close()


@contextmanager
def open_table(connection: Any, name: str, table: Table) -> Iterator[Raw]:
    """Open a table, or view, of a server.

    Args:
        connection: Of `connect`.
        name: `schema.table` or `table` on the server.
        table: Its columns in the contract.

    Raises:
        TableError: No such table. The stream raises it if the server breaks off.
    """
    import psycopg

    where = relation(name)
    wanted = {column.name for column in table.columns}
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {where} LIMIT 0")  # noqa: S608
            found = [(item.name, item.type_display) for item in cursor.description]
            names = [name for name, _ in found]
            if not wanted.issubset(names):
                yield Raw(names, iter(()), texts=True)
                return
            listed = ", ".join(_exported(item, kind) for item, kind in found)
            # newlines cannot be left out of quotes by COPY; an empty text is written as ""
            with cursor.copy(
                f"COPY (SELECT {listed} FROM {where}) TO STDOUT (FORMAT csv, HEADER, ENCODING 'UTF8')"  # noqa: S608, E501
            ) as copy:
                yield csv_batches(_Stream(iter(copy)), table.name, sorted(wanted))
    except psycopg.Error:
        raise TableError(f"table {table.name!r} cannot be read from the server.") from None


def _exported(name: str, kind: str) -> str:
    """Return the text of a column as the contract's text forms want it."""
    column = quoted(name)
    if kind == "bool":
        return f"CAST({column} AS text) AS {column}"
    if kind.startswith("timestamp"):
        return f"to_char({column}, {_MOMENT}) AS {column}"
    return column


class _Stream(io.RawIOBase):
    """A readable file over the pieces of a COPY."""

    def __init__(self, pieces: Iterator[Any]) -> None:
        self._pieces = pieces
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        found = [self._rest]
        length = len(self._rest)
        while size < 0 or length < size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            found.append(bytes(piece))
            length += len(found[-1])
        data = b"".join(found)
        cut = len(data) if size < 0 else size
        self._rest = data[cut:]
        return data[:cut]
