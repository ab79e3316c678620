"""The ledger's file: rows that are only ever added, each bound to the one before by a hash.

A changed, removed or reordered row breaks the chain. Rows cut off the end do not: whoever kept an
earlier `head` can tell, which is why every privacy statement carries one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from manatee.errors import BudgetError, StoreError
from manatee.records import canonical_json, digest_bytes, parse_json

FORMAT = "manatee-budget-ledger/1"
ORIGIN = digest_bytes(FORMAT.encode())
BUSY_SECONDS = 60.0
"""How long a process waits for others that write."""

_SCHEMA = (
    "CREATE TABLE entries (place INTEGER PRIMARY KEY, body TEXT NOT NULL, "
    "hash TEXT NOT NULL UNIQUE) STRICT",
    "CREATE TRIGGER entries_stay BEFORE UPDATE ON entries "
    "BEGIN SELECT RAISE(ABORT, 'entries of a budget ledger are never changed'); END",
    "CREATE TRIGGER entries_are_kept BEFORE DELETE ON entries "
    "BEGIN SELECT RAISE(ABORT, 'entries of a budget ledger are never removed'); END",
    "PRAGMA user_version = 1",
)

Entry = Mapping[str, Any]


def _hash(previous: str, body: str) -> str:
    return digest_bytes(canonical_json({"previous": previous, "body": body}))


class Rows:
    """Entries inside one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def all(self) -> list[Entry]:
        """Return every entry, checked against the chain.

        Raises:
            BudgetError: The chain is broken; names the first place.
        """
        found, previous = [], ORIGIN
        rows = self._connection.execute("SELECT place, body, hash FROM entries ORDER BY place")
        for number, (place, body, kept) in enumerate(rows, start=1):
            if place != number or kept != _hash(previous, body):
                raise BudgetError(
                    f"the budget ledger was changed: entry {number} does not follow the one "
                    "before it.",
                    hint="Restore the file from a copy; nothing can be reserved until then.",
                )
            found.append(parse_json(body.encode()))
            previous = kept
        return found

    def head(self) -> str:
        """Return the hash of the last entry, or of an empty ledger."""
        row = self._connection.execute(
            "SELECT hash FROM entries ORDER BY place DESC LIMIT 1"
        ).fetchone()
        return ORIGIN if row is None else str(row[0])

    def holds(self, head: str) -> bool:
        """Tell whether some entry has this hash: the ledger has only grown since."""
        row = self._connection.execute("SELECT 1 FROM entries WHERE hash = ?", (head,)).fetchone()
        return row is not None or head == ORIGIN

    def add(self, entry: Entry) -> None:
        """Add one entry at the end."""
        body = canonical_json(dict(entry)).decode()
        self._connection.execute(
            "INSERT INTO entries (place, body, hash) "
            "VALUES ((SELECT COALESCE(MAX(place), 0) + 1 FROM entries), ?, ?)",
            (body, _hash(self.head(), body)),
        )


@contextmanager
def transaction(path: Path) -> Iterator[Rows]:
    """Hold the ledger alone; what was added stays only if the block ends without an error.

    Raises:
        StoreError: The file cannot be opened or written, or others hold it for too long.
    """
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"the budget ledger {path} cannot be opened.") from error
    try:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN IMMEDIATE")
        try:
            if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
                for statement in _SCHEMA:
                    connection.execute(statement)
            yield Rows(connection)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise StoreError(
            f"the budget ledger {path} cannot be read or written.",
            hint="Is it a ledger, is the disk full, or does another process hold it?",
        ) from error
    finally:
        connection.close()
