"""Watches a log: every entry it ever showed must still be there, and nothing else before it.

A monitor remembers what it saw, so that a log which is rolled back, forked or edited is found out
by anybody who looked before. With a folder to keep the files in, it is a mirror.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from manatee.errors import ForkError, LedgerError, ManateeError
from manatee.ledger._checkpoint import SignedCheckpoint, verify_checkpoint, verify_cosignature
from manatee.ledger._hashing import EMPTY_ROOT, leaf_hash
from manatee.ledger._ledger import CHECKPOINT, LogReader
from manatee.ledger._log_proof import LogTrust
from manatee.ledger._range import CompactRange
from manatee.ledger._storage import LogFolder
from manatee.ledger._writer import TreeWriter
from manatee.records import Base64, Record, canonical_json, read_record, to_base64, unbase64
from manatee.records._base import Count

STATE = "seen.json"


class _State(Record, frozen=True, kw_only=True):
    """What was seen last; `note` is the evidence if the log later denies it."""

    format_version: Literal[1] = 1
    size: Count
    hashes: tuple[Base64, ...]
    note: Base64


@dataclass(frozen=True)
class Seen:
    """Outcome of one look: the log is whole, and this is how far it reaches."""

    old_size: int
    size: int
    cosigners: tuple[tuple[str, int], ...]


class Monitor:
    """One watcher of one log."""

    def __init__(self, folder: Path, trust: LogTrust) -> None:
        """Take up where this monitor left off.

        Args:
            folder: Where it remembers, and where it mirrors to.
            trust: The log and the witnesses it believes.
        """
        self._files = LogFolder(folder)
        self._trust = trust

    def _state(self) -> _State | None:
        if not self._files.exists(STATE):
            return None
        return read_record(self._files.read(STATE), _State, what=STATE)

    def look(self, read: Callable[[str], bytes], *, mirror: bool = False) -> Seen:
        """Read the log, from where the last look ended, and remember what was seen.

        Args:
            read: Takes a file's name below the log's prefix.
            mirror: Also keep the files, made anew from the entries.

        Raises:
            ForkError: The log signed another past than before. Both checkpoints are kept in this
                monitor's folder.
            LedgerError: A signature does not hold, too few witnesses cosigned, entries and root
                do not belong together, or what is shown is older than what was seen before: by
                itself no proof of anything, for a copy may be stale.
            NotFoundError, ServiceUnreachableError: A file is missing, or the log is away.
        """
        with self._files.only_writer():
            reader = LogReader(read)
            signed = reader.checkpoint()
            cosigners = self._verify(signed)
            state = self._state()
            known = (
                CompactRange()
                if state is None
                else CompactRange(state.size, map(unbase64, state.hashes))
            )
            if signed.checkpoint.size < known.size:
                self._look_back(reader, signed, known)
            old_size = known.size
            for entry in reader.entries(old_size, signed.checkpoint.size):
                known.append(leaf_hash(entry))
            if known.root() != signed.checkpoint.root:
                if state is not None and signed.checkpoint.size == old_size:
                    self._accuse(signed, f"the log signed two trees of {old_size} entries")
                self._explain(reader, signed, state)
            if mirror:
                self._mirror(reader, signed)
            self._remember(known, signed)
            return Seen(old_size, signed.checkpoint.size, cosigners)

    def _verify(self, signed: SignedCheckpoint) -> tuple[tuple[str, int], ...]:
        log_key, witnesses = self._trust.keys()
        verify_checkpoint(signed, origin=self._trust.origin, key=log_key)
        times = ((key.name, verify_cosignature(signed, key)) for key in witnesses)
        cosigners = tuple((name, moment) for name, moment in times if moment is not None)
        if len(cosigners) < self._trust.quorum:
            raise LedgerError(
                f"{len(cosigners)} trusted witness(es) cosigned; {self._trust.quorum} are needed."
            )
        return cosigners

    def _explain(self, reader: LogReader, signed: SignedCheckpoint, state: _State | None) -> None:
        """Tell damage from deceit: do this log's own entries, all of them, give its root?"""
        fresh = CompactRange()
        for entry in reader.entries(0, signed.checkpoint.size):
            fresh.append(leaf_hash(entry))
        if state is not None and fresh.root() == signed.checkpoint.root:
            self._accuse(signed, f"the first {state.size} entries are not those seen before")
        raise LedgerError(
            "the log's entries do not give the root it signed.",
            hint="Its files are damaged, or it hides what it signed. Compare with a mirror.",
        )

    def _look_back(self, reader: LogReader, signed: SignedCheckpoint, known: CompactRange) -> None:
        """Tell a stale copy from a fork, by entries known to be the ones seen: root for root."""
        size, shown = known.size, signed.checkpoint
        for source in (reader, LogReader(self._files.read)):
            past = _root_at(source, shown.size, known)
            if past is None:
                continue
            if past != shown.root:
                self._accuse(signed, f"the log signed another tree of {shown.size} entries")
            raise LedgerError(
                f"the log shows {shown.size} entries, {size} were seen before: it is stale.",
                hint="The two trees agree, so this is no fork. Ask it later, or another copy.",
            )
        self._files.write("older.checkpoint", signed.encode())
        self._files.sync()
        raise LedgerError(
            f"the log shows {shown.size} entries, {size} were seen before: stale, or rolled back.",
            hint="Its files do not tell which. If no copy shows the later entries any more, they "
            f"were taken back; the checkpoints in {self._files.path} say what it signed.",
        )

    def _accuse(self, signed: SignedCheckpoint, what: str) -> None:
        self._files.write("fork.checkpoint", signed.encode())
        self._files.sync()
        raise ForkError(
            f"{what}: it was edited or forked.",
            hint=f"The two signed checkpoints in {self._files.path} prove it: keep them.",
        )

    def _mirror(self, reader: LogReader, signed: SignedCheckpoint) -> None:
        start, root = 0, EMPTY_ROOT
        if self._files.exists(CHECKPOINT):
            own = LogReader(self._files.read).checkpoint().checkpoint
            start, root = own.size, own.root
        writer = TreeWriter(self._files, start)
        writer.check(root)
        for entry in reader.entries(start, signed.checkpoint.size):
            writer.append(entry)
        writer.flush()
        if writer.root() != signed.checkpoint.root:
            raise LedgerError("the mirror's files do not give the log's root.")
        self._files.write(CHECKPOINT, signed.encode())
        self._files.sync()

    def _remember(self, known: CompactRange, signed: SignedCheckpoint) -> None:
        state = _State(
            size=known.size,
            hashes=tuple(map(to_base64, known.hashes)),
            note=to_base64(signed.encode()),
        )
        self._files.write(STATE, canonical_json(state))
        self._files.sync()


def _root_at(source: LogReader, size: int, known: CompactRange) -> bytes | None:
    """Return the root of the first entries of a known tree; None if `source` lacks that tree."""
    grown, past = CompactRange(), EMPTY_ROOT
    try:
        for entry in source.entries(0, known.size):
            grown.append(leaf_hash(entry))
            if grown.size == size:
                past = grown.root()
    except ManateeError:
        return None  # not all of it is there: nothing can be said from it
    return past if grown.root() == known.root() else None
