"""The broker's own durable state: nonces, grants and the decision log, in one SQLite file.

Standard library only: this is the trusted core. Every change is one `BEGIN IMMEDIATE` transaction
with `synchronous=FULL`, so what was answered is on disk, and a restart forgets nothing.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from manatee.errors import KeyDeniedError, LimitError, StoreError
from manatee.records import Digest, digest_bytes, length_prefixed

MAX_OPEN_NONCES = 10_000
"""Unused, unexpired challenges at one time; beyond that new ones are refused."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS nonces (
  nonce BLOB PRIMARY KEY, job_digest TEXT NOT NULL, expires_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS grants (
  job_digest TEXT NOT NULL, dataset_version TEXT NOT NULL, attempt INTEGER NOT NULL,
  granted_at REAL NOT NULL, PRIMARY KEY (job_digest, dataset_version));
CREATE TABLE IF NOT EXISTS decisions (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL, digest TEXT NOT NULL UNIQUE);
CREATE TRIGGER IF NOT EXISTS decisions_are_kept BEFORE DELETE ON decisions
  BEGIN SELECT RAISE(ABORT, 'decisions are append-only'); END;
CREATE TRIGGER IF NOT EXISTS decisions_stay BEFORE UPDATE ON decisions
  BEGIN SELECT RAISE(ABORT, 'decisions are append-only'); END;
"""


@dataclass(frozen=True)
class LoggedDecision:
    """One entry of the decision log. `digest` covers the body and the digest before it."""

    seq: int
    body: bytes
    digest: Digest


def chain_digest(previous: str, body: bytes) -> Digest:
    """Return the digest of a log entry: over the digest before it (or "") and its body."""
    return digest_bytes(length_prefixed("manatee-decision/v1", previous, body))


class BrokerStore:
    """Durable state of one broker. Safe for threads; one process at a time owns the file."""

    def __init__(self, path: Path) -> None:
        """Open or create the file.

        Raises:
            StoreError: The file is not a broker's database or cannot be written.
        """
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._connection = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=10
            )
            path.chmod(0o600)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"the key broker's database {path} cannot be opened.") from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                except BaseException:
                    self._connection.execute("ROLLBACK")
                    raise
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise StoreError("the key broker's database failed; nothing released.") from error

    def add_nonce(self, nonce: bytes, job_digest: str, *, now: float, expires_at: float) -> None:
        """Remember a nonce until it is used or expired (times in seconds since the epoch).

        Raises:
            LimitError: Too many challenges are open.
        """
        with self._transaction() as connection:
            connection.execute("DELETE FROM nonces WHERE expires_at < ?", (now,))
            (open_nonces,) = connection.execute("SELECT count(*) FROM nonces").fetchone()
            if open_nonces >= MAX_OPEN_NONCES:
                raise LimitError("too many open challenges.", hint="Try again in two minutes.")
            connection.execute(
                "INSERT INTO nonces VALUES (?, ?, ?)", (nonce, job_digest, expires_at)
            )

    def use_nonce(self, nonce: bytes, job_digest: str, *, now: float) -> None:
        """Consume a nonce: whatever follows, it is gone.

        Raises:
            KeyDeniedError: Never issued, used before, expired, or issued for another job.
        """
        with self._transaction() as connection:
            row = connection.execute(
                "DELETE FROM nonces WHERE nonce = ? RETURNING job_digest, expires_at", (nonce,)
            ).fetchone()
        if row is None:
            raise KeyDeniedError("nonce", "the challenge is unknown or was used before.")
        if now > row[1]:
            raise KeyDeniedError("nonce", "the challenge is expired.", hint="Ask for a new one.")
        if row[0] != job_digest:
            raise KeyDeniedError("nonce", "the challenge was issued for another job.")

    def grant(
        self,
        job_digest: str,
        dataset_versions: tuple[str, ...],
        *,
        attempt: int,
        now: float,
        decision: bytes,
    ) -> Digest:
        """Record grants and their decision in one transaction: all or nothing.

        Returns:
            The new head of the decision log.

        Raises:
            KeyDeniedError: A key of this version was granted to this job before.
        """
        with self._transaction() as connection:
            for version in dataset_versions:
                try:
                    connection.execute(
                        "INSERT INTO grants VALUES (?, ?, ?, ?)",
                        (job_digest, version, attempt, now),
                    )
                except sqlite3.IntegrityError as error:
                    raise KeyDeniedError(
                        "grant",
                        "a key was granted to this job before; a job runs once on a data set.",
                        hint="Submit again with a higher `submission` and ask for approval.",
                    ) from error
            return self._append(connection, decision)

    def log(self, decision: bytes) -> Digest:
        """Append a decision and return the new head of the log."""
        with self._transaction() as connection:
            return self._append(connection, decision)

    @staticmethod
    def _append(connection: sqlite3.Connection, body: bytes) -> Digest:
        row = connection.execute(
            "SELECT digest FROM decisions ORDER BY seq DESC LIMIT 1"
        ).fetchone()
        digest = chain_digest(row[0] if row else "", body)
        connection.execute("INSERT INTO decisions (body, digest) VALUES (?, ?)", (body, digest))
        return digest

    def decisions(self) -> list[LoggedDecision]:
        """Return the whole log, oldest first, checked.

        Whoever can write to the file can also make a whole new log: compare the last digest with
        one that was answered (`ReleaseAnswer.decision_digest`) to notice that.

        Raises:
            StoreError: An entry was changed or removed, or the file cannot be read.
        """
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT seq, body, digest FROM decisions ORDER BY seq"
            ).fetchall()
            last = connection.execute(
                "SELECT seq FROM sqlite_sequence WHERE name = 'decisions'"
            ).fetchone()
        previous = ""
        for number, (seq, body, digest) in enumerate(rows, start=1):
            if seq != number or chain_digest(previous, body) != digest:
                raise StoreError(f"the decision log is broken at entry {number}.")
            previous = digest
        if (last[0] if last else 0) != len(rows):
            raise StoreError("the decision log lacks its last entries.")
        return [LoggedDecision(seq, body, Digest(digest)) for seq, body, digest in rows]
