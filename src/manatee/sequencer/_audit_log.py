"""The audit log's folder and key: appended to by the sequencer, read by everybody else."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

from manatee.errors import ConflictError, LedgerError, NotFoundError
from manatee.ledger import (
    ED25519,
    Growth,
    Ledger,
    LogReader,
    LogTrust,
    NoteSigner,
    SignedCheckpoint,
    create_log,
    read_folder,
    signer_in,
    verify_checkpoint,
    verify_consistency,
)

FOLDER = "audit-log"
KEY = "audit-log-key.json"

BATCH = 500
"""Events appended with one signature."""


class AuditLog:
    """One installation's audit log."""

    def __init__(self, folder: Path, signer: NoteSigner) -> None:
        """Take up a log, or start it.

        Raises:
            LedgerError, StoreError: It cannot be read or written.
        """
        self._folder = folder
        self._signer = signer
        if not (folder / "checkpoint").exists():
            with contextlib.suppress(ConflictError):  # another process started it meanwhile
                create_log(folder, signer, wait=True)

    def trust(self) -> LogTrust:
        """Return what a reader needs to believe this log."""
        return LogTrust(origin=self._signer.name, log_key=str(self._signer.key))

    def size(self) -> int:
        """Return how many events the log holds, by its signed checkpoint.

        Raises:
            LedgerError: The checkpoint is not this log's.
        """
        return self.checkpoint().checkpoint.size

    def prove(self, index: int) -> bytes:
        """Return the proof of an entry as text (C2SP tlog-proof).

        Raises:
            NotFoundError: The log does not hold it yet.
        """
        if index >= self.size():
            raise NotFoundError("the event is not in the log yet.", hint="Ask again in a moment.")
        return self._reader().proof(index).encode()

    def growth(self, since: int) -> bytes:
        """Return the proof that the log grew from its first `since` entries, as text.

        Raises:
            LedgerError: The log is shorter: it was cut, put back or begun anew.
        """
        signed = self.checkpoint()
        size = signed.checkpoint.size
        if since > size:
            raise LedgerError(f"the log holds {size} events; it had more if you saw {since}.")
        return Growth(since, self._reader().consistency(since, size), signed).encode()

    def entries(self) -> Iterator[bytes]:
        """Yield all entries, each checked to lie under the signed root at the end.

        Raises:
            LedgerError: Files are damaged.
        """
        size = self.size()
        yield from self._reader().entries(0, size)

    def extend(self, entries_from: Callable[[int, int], list[bytes]]) -> int:
        """Append what follows the log's end; returns how many entries.

        Args:
            entries_from: Given an index and a number, returns at most so many entries from there.

        Raises:
            LedgerError, StoreError: The log cannot be written.
        """
        with Ledger.open(self._folder, self._signer, wait=True) as ledger:
            # the end is read under the log's own lock: two writers cannot both begin at it
            entries = entries_from(ledger.checkpoint().checkpoint.size, BATCH)
            if entries:
                ledger.append(entries)
            return len(entries)

    def check_files(self) -> None:
        """Check that all files lie under the signed root.

        Raises:
            LedgerError: They do not.
        """
        try:
            with Ledger.open(self._folder, self._signer, wait=True):
                pass  # taking it up checks it against its checkpoint
        except NotFoundError as error:
            raise LedgerError("the audit log is gone.") from error

    def checkpoint(self) -> SignedCheckpoint:
        """Return the log's signed checkpoint.

        Raises:
            LedgerError: It is not this log's.
        """
        signed = self._reader().checkpoint()
        verify_checkpoint(signed, origin=self._signer.name, key=self._signer.key)
        return signed

    def check_extends(self, kept: SignedCheckpoint) -> None:
        """Check that the log is what it was at an earlier checkpoint, with entries appended.

        Raises:
            LedgerError: It is not: it was put back, cut, rewritten or begun anew.
        """
        old = verify_checkpoint(kept, origin=self._signer.name, key=self._signer.key)
        now = self.checkpoint().checkpoint
        if now.size < old.size:
            raise LedgerError(f"the log holds {now.size} events, and held {old.size} before.")
        proof = self._reader().consistency(old.size, now.size)
        verify_consistency(old.size, now.size, proof, old.root, now.root)

    def _reader(self) -> LogReader:
        return LogReader(read_folder(self._folder))


def open_audit_log(home: Path) -> AuditLog:
    """Return an installation's audit log; starts it on first use.

    Its folder holds static files that anybody may be given to read, mirror and watch; the key lies
    beside it.

    Raises:
        LedgerError, StoreError: It cannot be read or written.
    """
    name = f"manatee.invalid/audit/{secrets.token_hex(8)}"
    return AuditLog(home / FOLDER, signer_in(home / KEY, name, ED25519))
