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

from manatee.errors import AuthorizationError, KeyDeniedError, LimitError, StoreError
from manatee.records import Digest, digest_bytes, length_prefixed

MAX_OPEN_NONCES = 10_000
"""Unused, unexpired challenges at one time; beyond that new ones are refused."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS nonces (
  nonce BLOB PRIMARY KEY, job_digest TEXT NOT NULL, kind TEXT NOT NULL, expires_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS grants (
  job_digest TEXT NOT NULL, dataset_version TEXT NOT NULL, attempt INTEGER NOT NULL,
  granted_at REAL NOT NULL, dataset TEXT NOT NULL, project TEXT NOT NULL,
  researcher TEXT NOT NULL, PRIMARY KEY (job_digest, dataset_version));
CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, value REAL NOT NULL);
CREATE TABLE IF NOT EXISTS policies (version INTEGER PRIMARY KEY, digest TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS rules_in_force (
  one INTEGER PRIMARY KEY CHECK (one = 1), digest TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS decisions (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL, digest TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS reasons (seq INTEGER PRIMARY KEY, reasons TEXT NOT NULL);
CREATE TRIGGER IF NOT EXISTS decisions_are_kept BEFORE DELETE ON decisions
  BEGIN SELECT RAISE(ABORT, 'decisions are append-only'); END;
CREATE TRIGGER IF NOT EXISTS decisions_stay BEFORE UPDATE ON decisions
  BEGIN SELECT RAISE(ABORT, 'decisions are append-only'); END;
"""


CLOCK_SKEW_SECONDS = 60
"""How far a clock may go back before the broker stops believing it."""

_VERSION = 2
"""Of the tables above; another broker's file is refused, not guessed at."""


@dataclass(frozen=True)
class Grant:
    """One key that is about to leave: of which data set, for whom."""

    dataset_version: str
    dataset: str
    project: str
    researcher: str


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
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
            (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if version != (_VERSION if tables else 0):
                raise StoreError(
                    f"the key broker's database {path} is of another version.",
                    hint="Start the broker of the version that made it.",
                )
            self._connection.executescript(_SCHEMA)
            self._connection.execute(f"PRAGMA user_version = {_VERSION}")
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

    def check_clock(self, now: float) -> None:
        """Check that time did not go back, and remember it (seconds since the epoch).

        A clock set back would bring dead challenges, approvals and policies to life again.

        Raises:
            KeyDeniedError: It went back by more than `CLOCK_SKEW_SECONDS`.
        """
        with self._transaction() as connection:
            latest = self._mark(connection, "clock", now)
        if now < latest - CLOCK_SKEW_SECONDS:
            raise KeyDeniedError(
                "clock", "the broker's clock went back.", hint="Set it right; nothing is released."
            )

    def policy_version(self) -> int:
        """Return the highest policy version that was taken; 0 if none was."""
        with self._transaction() as connection:
            return int(self._mark(connection, "policy", 0.0))

    def take_policy(self, version: int, digest: str, *, rules: str, entry: bytes) -> None:
        """Remember a verified policy: its version, and the one document that bears it.

        Args:
            version: Of the policy.
            digest: Of its document.
            rules: Digest of policy and reference values together.
            entry: Put into the decision log, in the same transaction, if other rules were in
                force before.

        Raises:
            AuthorizationError: A higher version was taken, or another document of this one.
        """
        with self._transaction() as connection:
            highest = int(self._mark(connection, "policy", 0.0))
            if version < highest:
                raise AuthorizationError(
                    f"policy version {version} is older than {highest}, seen before.",
                    hint="Sign the policy anew with a higher version.",
                )
            connection.execute("INSERT OR IGNORE INTO policies VALUES (?, ?)", (version, digest))
            (taken,) = connection.execute(
                "SELECT digest FROM policies WHERE version = ?", (version,)
            ).fetchone()
            if taken != digest:
                raise AuthorizationError(
                    f"another policy of version {version} was taken before.",
                    hint="Every edit needs a higher version.",
                )
            self._mark(connection, "policy", float(version))
            earlier = connection.execute("SELECT digest FROM rules_in_force").fetchone()
            if earlier != (rules,):
                self._append(connection, entry)
                connection.execute("INSERT OR REPLACE INTO rules_in_force VALUES (1, ?)", (rules,))

    @staticmethod
    def _mark(connection: sqlite3.Connection, name: str, value: float) -> float:
        connection.execute(
            "INSERT INTO marks VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)",
            (name, value),
        )
        (found,) = connection.execute("SELECT value FROM marks WHERE name = ?", (name,)).fetchone()
        return float(found)

    def uses(self, datasets: tuple[str, ...], *, project: str, researcher: str) -> dict[str, int]:
        """Return data set name to how many jobs of a researcher and project got its key."""
        with self._transaction() as connection:
            return {
                name: connection.execute(
                    "SELECT count(*) FROM grants"
                    " WHERE dataset = ? AND project = ? AND researcher = ?",
                    (name, project, researcher),
                ).fetchone()[0]
                for name in datasets
            }

    def add_nonce(
        self, nonce: bytes, job_digest: str, *, kind: str, now: float, expires_at: float
    ) -> None:
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
                "INSERT INTO nonces VALUES (?, ?, ?, ?)", (nonce, job_digest, kind, expires_at)
            )

    def use_nonce(self, nonce: bytes, job_digest: str, *, now: float) -> str:
        """Consume a nonce: whatever follows, it is gone.

        Returns:
            The evidence kind that the challenge was asked for.

        Raises:
            KeyDeniedError: Never issued, used before, expired, or issued for another job.
        """
        with self._transaction() as connection:
            row = connection.execute(
                "DELETE FROM nonces WHERE nonce = ? RETURNING job_digest, expires_at, kind",
                (nonce,),
            ).fetchone()
        if row is None:
            raise KeyDeniedError("nonce", "the challenge is unknown or was used before.")
        if now > row[1]:
            raise KeyDeniedError("nonce", "the challenge is expired.", hint="Ask for a new one.")
        if row[0] != job_digest:
            raise KeyDeniedError("nonce", "the challenge was issued for another job.")
        return str(row[2])

    def grant(
        self,
        job_digest: str,
        grants: tuple[Grant, ...],
        *,
        attempt: int,
        now: float,
        decision: bytes,
        reasons: tuple[str, ...] = (),
    ) -> LoggedDecision:
        """Record grants and their decision in one transaction: all or nothing.

        Returns:
            The decision as it stands in the log.

        Raises:
            KeyDeniedError: A key of this version was granted to this job before.
        """
        with self._transaction() as connection:
            for item in grants:
                try:
                    connection.execute(
                        "INSERT INTO grants VALUES (?, ?, ?, ?, ?, ?, ?)",
                        (
                            job_digest,
                            item.dataset_version,
                            attempt,
                            now,
                            item.dataset,
                            item.project,
                            item.researcher,
                        ),
                    )
                except sqlite3.IntegrityError as error:
                    raise KeyDeniedError(
                        "grant",
                        "a key was granted to this job before; a job runs once on a data set.",
                        hint="Submit again with a higher `submission` and ask for approval.",
                    ) from error
            logged = self._append(connection, decision)
            self._explain(connection, logged, reasons)
            return logged

    def log(self, decision: bytes, reasons: tuple[str, ...] = ()) -> LoggedDecision:
        """Append a decision and return it as it stands in the log.

        Args:
            decision: What is chained and published.
            reasons: What only the provider reads; the decision holds their digest.
        """
        with self._transaction() as connection:
            logged = self._append(connection, decision)
            self._explain(connection, logged, reasons)
            return logged

    @staticmethod
    def _explain(
        connection: sqlite3.Connection, logged: LoggedDecision, reasons: tuple[str, ...]
    ) -> None:
        if reasons:
            connection.execute(
                "INSERT INTO reasons VALUES (?, ?)", (logged.seq, "\n".join(reasons))
            )

    def reasons(self) -> dict[int, str]:
        """Return decision number to its reasons, a line each: for the provider's eyes."""
        with self._transaction() as connection:
            return dict(connection.execute("SELECT seq, reasons FROM reasons").fetchall())

    @staticmethod
    def _append(connection: sqlite3.Connection, body: bytes) -> LoggedDecision:
        row = connection.execute(
            "SELECT digest FROM decisions ORDER BY seq DESC LIMIT 1"
        ).fetchone()
        digest = chain_digest(row[0] if row else "", body)
        cursor = connection.execute(
            "INSERT INTO decisions (body, digest) VALUES (?, ?)", (body, digest)
        )
        return LoggedDecision(int(cursor.lastrowid or 0), body, digest)

    def bodies_after(self, seq: int) -> list[bytes]:
        """Return the decisions after number `seq`, oldest first."""
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT body FROM decisions WHERE seq > ? ORDER BY seq", (seq,)
            ).fetchall()
        return [bytes(body) for (body,) in rows]

    def decisions(self) -> list[LoggedDecision]:
        """Return the whole log, oldest first, checked.

        Whoever can write to the file can also make a whole new log: compare the last digest with
        one that was answered: a `ReleaseAnswer` holds its decision, and the proof of its place.

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
