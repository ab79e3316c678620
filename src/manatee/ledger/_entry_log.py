"""A log in which each entry stands once: asking for its proof puts it there if it is not."""

from __future__ import annotations

import contextlib
import logging
import threading
from pathlib import Path

from manatee._clock import monotonic
from manatee.errors import ConflictError
from manatee.ledger._hashing import leaf_hash
from manatee.ledger._ledger import CHECKPOINT, Ledger, create_log
from manatee.ledger._log_proof import LogTrust
from manatee.ledger._note import NoteSigner
from manatee.ledger._witness_client import WitnessAddress, collect_cosignatures

WITNESS_SECONDS = 3.0
"""How long witnesses may take, all together, before a proof is given without them."""

PAUSE_SECONDS = 10.0
"""How long a witness that did not cosign is left alone."""

_log = logging.getLogger("manatee.ledger")


class EntryLog:
    """One writer's view of a log. Knows every entry by its hash, 40 bytes or so each."""

    def __init__(
        self, folder: Path, signer: NoteSigner, witnesses: tuple[WitnessAddress, ...] = ()
    ) -> None:
        """Take up a log, or start it, and read which entries it has.

        Args:
            folder: Of the log.
            signer: Its key.
            witnesses: Asked to cosign whenever a proof is made that lacks their cosignature.

        Raises:
            LedgerError, StoreError: It cannot be read, or is another signer's.
        """
        self._folder = folder
        self._signer = signer
        self._witnesses = witnesses
        self._asked_again_at: dict[str, float] = {}
        self._lock = threading.Lock()
        self._known: dict[bytes, int] = {}
        self._read = 0
        if not (folder / CHECKPOINT).exists():
            with contextlib.suppress(ConflictError):  # another process started it meanwhile
                create_log(folder, signer, wait=True)

    def trust(self) -> LogTrust:
        """Return what a reader needs to believe this log; it names no witness."""
        return LogTrust(origin=self._signer.name, log_key=str(self._signer.key))

    def prove(self, entry: bytes) -> bytes:
        """Return the proof that an entry is in the log; appends it unless it is there.

        Idempotent, also over restarts: what is in the log is found in it again. A witness that is
        away costs at most `WITNESS_SECONDS`, and stops nothing: a later proof asks it again.

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
            self._have_cosigned(ledger)
            return ledger.proof(self._known[leaf])

    def _have_cosigned(self, ledger: Ledger) -> None:
        """Ask the witnesses that did not cosign the present checkpoint yet."""
        note, now = ledger.checkpoint().note, monotonic()
        missing = [
            witness
            for witness in self._witnesses
            if note.by(witness.key) is None and now >= self._asked_again_at.get(witness.url, 0.0)
        ]
        problems = collect_cosignatures(ledger, missing, timeout=WITNESS_SECONDS)
        for witness in missing:
            pause = PAUSE_SECONDS if witness.key.name in problems else 0.0
            self._asked_again_at[witness.url] = now + pause
        for name, problem in problems.items():
            _log.warning("witness %s did not cosign the log: %s", name, problem)
