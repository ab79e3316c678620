"""A witness: cosigns a log's checkpoint only if it grew from the last one (C2SP tlog-witness)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from manatee._clock import Clock
from manatee.errors import LedgerError, MalformedError, StoreError
from manatee.ledger._checkpoint import (
    Checkpoint,
    cosign,
    parse_checkpoint,
    verify_checkpoint,
)
from manatee.ledger._growth import MAX_GROWTH_BYTES, parse_growth
from manatee.ledger._hashing import EMPTY_ROOT
from manatee.ledger._note import COSIGNATURE, NoteKey, NoteSigner
from manatee.ledger._proofs import verify_consistency
from manatee.ledger._storage import LogFolder

MAX_REQUEST_BYTES = MAX_GROWTH_BYTES
SIZE_TYPE = "text/x.tlog.size"


@dataclass(frozen=True)
class WitnessAnswer:
    """What `add-checkpoint` answers over HTTP."""

    status: int
    body: bytes
    media_type: str = "text/plain; charset=utf-8"


def _refusal(status: int, reason: str) -> WitnessAnswer:
    return WitnessAnswer(status, f"{reason}\n".encode())


class Witness:
    """Remembers the largest tree it cosigned of each log before the cosignature leaves."""

    def __init__(
        self, folder: Path, signer: NoteSigner, logs: Mapping[str, NoteKey], clock: Clock
    ) -> None:
        """Take up a witness.

        Args:
            folder: What it remembers; one file a log.
            signer: Its key, of type `COSIGNATURE`.
            logs: Origin to the key of each log that it watches.
            clock: Dates cosignatures.

        Raises:
            MalformedError: The key is of another type.
        """
        if signer.algorithm != COSIGNATURE:
            raise MalformedError("a witness's key must be of type 4.")
        self._folder = folder
        self._signer = signer
        self._logs = dict(logs)
        self._clock = clock

    def add_checkpoint(self, body: bytes) -> WitnessAnswer:
        """Answer `POST /add-checkpoint`.

        Effects: a checkpoint that is cosigned is on disk before this returns.

        Raises:
            StoreError: The state cannot be read or written; nothing was cosigned.
        """
        # 1. strict parse
        try:
            growth = parse_growth(body)
        except MalformedError as error:
            return _refusal(400, error.message)
        signed, old_size = growth.signed, growth.old_size
        checkpoint = signed.checkpoint
        # 2. a log that this witness watches, and its signature
        key = self._logs.get(checkpoint.origin)
        if key is None:
            return _refusal(404, "this witness does not watch that log.")
        try:
            verify_checkpoint(signed, origin=checkpoint.origin, key=key)
        except LedgerError as error:
            return _refusal(403, error.message)
        if old_size > checkpoint.size:
            return _refusal(400, "the old size is larger than the checkpoint's.")
        with self._held(checkpoint.origin) as (files, name):
            # 3. from the very tree that was cosigned last
            last = self._last(files, name, checkpoint.origin)
            if old_size != last.size:
                return WitnessAnswer(409, f"{last.size}\n".encode(), SIZE_TYPE)
            # 4. grown by appending alone
            try:
                verify_consistency(
                    old_size, checkpoint.size, growth.hashes, last.root, checkpoint.root
                )
            except LedgerError as error:
                return _refusal(422, error.message)
            # 5. remember, then sign
            files.write(name, signed.encode())
            files.sync()
        moment = int(self._clock().timestamp())
        return WitnessAnswer(200, cosign(signed, self._signer, moment=moment).line().encode())

    def _last(self, files: LogFolder, name: str, origin: str) -> Checkpoint:
        if not files.exists(name):
            return Checkpoint(origin, 0, EMPTY_ROOT)
        try:
            found = parse_checkpoint(files.read(name)).checkpoint
        except MalformedError as error:
            raise StoreError(
                "what this witness remembers of the log cannot be read.",
                hint="Restore it from a backup; a witness that forgets helps a log to fork.",
            ) from error
        if found.origin != origin:
            raise StoreError("what this witness remembers is of another log.")
        return found

    @contextmanager
    def _held(self, origin: str) -> Iterator[tuple[LogFolder, str]]:
        """Hold one log's memory: looking and remembering must be one step.

        Each request has a `LogFolder` of its own, which no other thread syncs.
        """
        name = f"{hashlib.sha256(origin.encode()).hexdigest()}.checkpoint"
        files = LogFolder(self._folder, mode=0o700)
        with files.only_writer(wait=True, lock=f".{name}.lock"):
            yield files, name
