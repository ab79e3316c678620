"""A log in which each entry stands once: asking for its proof puts it there if it is not."""

from __future__ import annotations

import threading
from pathlib import Path

from manatee.ledger._hashing import leaf_hash
from manatee.ledger._ledger import CHECKPOINT, Ledger, create_log
from manatee.ledger._log_proof import LogTrust
from manatee.ledger._note import NoteSigner


class EntryLog:
    """One writer's view of a log. Knows every entry by its hash, 40 bytes or so each."""

    def __init__(self, folder: Path, signer: NoteSigner) -> None:
        """Take up a log, or start it, and read which entries it has.

        Raises:
            LedgerError, StoreError: It cannot be read, or is another signer's.
        """
        self._folder = folder
        self._signer = signer
        self._lock = threading.Lock()
        self._known: dict[bytes, int] = {}
        self._read = 0
        if not (folder / CHECKPOINT).exists():
            create_log(folder, signer)

    def trust(self) -> LogTrust:
        """Return what a reader needs to believe this log; it names no witness."""
        return LogTrust(origin=self._signer.name, log_key=str(self._signer.key))

    def prove(self, entry: bytes) -> bytes:
        """Return the proof that an entry is in the log; appends it unless it is there.

        Idempotent, also over restarts: what is in the log is found in it again.

        Raises:
            TooLargeError: The entry is too large.
            StoreError: The log cannot be written; nothing was appended.
        """
        leaf = leaf_hash(entry)
        with self._lock, Ledger.open(self._folder, self._signer, wait=True) as ledger:
            size = ledger.checkpoint().checkpoint.size
            for found in ledger.reader.entries(self._read, size):
                self._known.setdefault(leaf_hash(found), self._read)
                self._read += 1
            if leaf not in self._known:
                (self._known[leaf],) = ledger.append([entry])
                self._read += 1
            return ledger.proof(self._known[leaf])
