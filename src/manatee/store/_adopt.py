"""Takes over an SQLite database of before there were migrations, with all it holds.

Such a database names its schema, 1 or 2, in the one row of its table `schema`. Its constraints have
no names, which later migrations rely on: so the first migration makes the tables anew and the rows
move there, in one transaction. Schema 1 knew no digests of the pieces of blobs; they are made from
the blobs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Protocol

from sqlalchemy import Connection, Integer, MetaData, Table, column, inspect, select, table, text

from manatee.errors import DamagedBlobError, StoreError
from manatee.records import Digest
from manatee.store._blobs._pieces import PieceHasher
from manatee.store._migrate import upgrade

_MARK = "schema"
_FIRST = "0001"
_OLD = "old_"
_KNOWN = (1, 2)
_TABLES = (
    "accounts",
    "tokens",
    "approval_keys",
    "blobs",
    "uploads",
    "datasets",
    "jobs",
    "job_datasets",
    "job_events",
    "outbox",
    "approvals",
    "reviews",
)
"""Each after those it refers to."""


class BlobBytes(Protocol):
    """Where blobs are read from; a `Place` is one."""

    def read(self, digest: Digest, start: int, end: int) -> Iterable[bytes]:
        """Yield the bytes of a blob from `start` up to `end`."""


def is_older(connection: Connection) -> bool:
    """Return whether a database is one of before there were migrations."""
    return inspect(connection).has_table(_MARK)


def adopt(connection: Connection, blobs: BlobBytes) -> None:
    """Bring such a database to the first migration's schema. The caller's transaction does it.

    Raises:
        StoreError: Its schema is none of ours, or a table is missing.
        DamagedBlobError: A blob is not what its row says.
    """
    tables = set(inspect(connection).get_table_names())
    version = select(column("version", Integer)).select_from(table(_MARK))
    found = connection.scalars(version).all()
    if len(found) != 1 or found[0] not in _KNOWN or tables != {_MARK, *_TABLES}:
        raise StoreError(
            "the database is not one that an earlier release left.",
            hint="Give another MANATEE_HOME, or restore the database from a backup.",
        )
    for name in _TABLES:
        # names of indices are the database's, not the table's: the new ones need them
        for index in inspect(connection).get_indexes(name):
            connection.execute(text(f'DROP INDEX "{index["name"]}"'))
        connection.execute(text(f"ALTER TABLE {name} RENAME TO {_OLD}{name}"))
    upgrade(connection, _FIRST)
    for name in _TABLES:
        new, old = _table(connection, name), _table(connection, _OLD + name)
        if name == "blobs" and found[0] == 1:
            for row in connection.execute(select(old)).mappings().all():
                pieces = _pieces(Digest(row["digest"]), row["size"], blobs)
                connection.execute(new.insert().values(**row, piece_digests=pieces))
        else:
            names = list(new.c.keys())
            rows = select(*(old.c[name] for name in names))
            connection.execute(new.insert().from_select(names, rows))
    for name in reversed(_TABLES):
        connection.execute(text(f"DROP TABLE {_OLD}{name}"))
    connection.execute(text(f"DROP TABLE {_MARK}"))


def _table(connection: Connection, name: str) -> Table:
    return Table(name, MetaData(), autoload_with=connection, resolve_fks=False)


def _pieces(digest: Digest, size: int, blobs: BlobBytes) -> bytes:
    whole, hasher = hashlib.sha256(), PieceHasher()
    for chunk in blobs.read(digest, 0, size):
        whole.update(chunk)
        hasher.update(chunk)
    pieces = hasher.pieces()
    if f"sha256:{whole.hexdigest()}" != digest or pieces.size != size:
        raise DamagedBlobError(
            "a stored blob is not what its digest says.", hint="Restore it from a backup."
        )
    return pieces.digests
