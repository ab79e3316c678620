"""The broker's decisions as a transparency log: decision number n is entry n-1.

The database is written first, in the transaction of the grant; the log follows it. A crash between
the two is made good by the next decision, and an answer leaves only with its proof in hand.
"""

from __future__ import annotations

import threading
from pathlib import Path

from manatee.errors import LedgerError, StoreError
from manatee.keybroker._store import BrokerStore
from manatee.ledger import Ledger, LogTrust, NoteSigner, create_log

CHECKPOINT = "checkpoint"


class DecisionLog:
    """One broker's log, in a folder that anybody may be given to read."""

    def __init__(self, folder: Path, signer: NoteSigner, store: BrokerStore) -> None:
        """Take up a log, or start it.

        Raises:
            StoreError: It cannot be written.
        """
        self._folder = folder
        self._signer = signer
        self._store = store
        self._lock = threading.Lock()
        if not (folder / CHECKPOINT).exists():
            create_log(folder, signer)

    def trust(self) -> LogTrust:
        """Return what a reader needs to believe this log; it names no witness."""
        return LogTrust(origin=self._signer.name, log_key=str(self._signer.key))

    def publish(self, seq: int) -> str:
        """Put every decision up to `seq` into the log, and return the proof of that one.

        Raises:
            StoreError: The log cannot be written, or is not one of these decisions.
        """
        with self._lock:
            try:
                with Ledger.open(self._folder, self._signer, wait=True) as ledger:
                    size = ledger.checkpoint().checkpoint.size
                    missing = self._store.bodies_after(size)
                    if missing:
                        ledger.append(missing)
                    return ledger.proof(seq - 1).decode()
            except LedgerError as error:
                raise StoreError(
                    "the decision log does not fit the decisions.", hint=error.message
                ) from error
