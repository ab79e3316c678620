"""A transparency log in a folder: append-only, signed, readable by anyone as static files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from manatee.errors import ConflictError, NotFoundError, TooLargeError
from manatee.ledger._checkpoint import (
    Checkpoint,
    SignedCheckpoint,
    parse_checkpoint,
    sign_checkpoint,
    verify_checkpoint,
)
from manatee.ledger._hashing import EMPTY_ROOT
from manatee.ledger._log_proof import LogProof
from manatee.ledger._note import NoteSignature, NoteSigner
from manatee.ledger._storage import LogFolder
from manatee.ledger._tiles import TILE_WIDTH, TileTree, bundle_path, tile_width
from manatee.ledger._writer import TreeWriter, decode_bundle

CHECKPOINT = "checkpoint"
MAX_BATCH = 1 << 20


def create_log(folder: Path, signer: NoteSigner, *, wait: bool = False) -> SignedCheckpoint:
    """Start an empty log whose origin is the signer's name.

    Args:
        folder: Where.
        signer: Its key.
        wait: Wait for another process that is about it, instead of refusing.

    Raises:
        ConflictError: The folder holds a log.
        StoreError: It cannot be written.
    """
    files = LogFolder(folder)
    with files.only_writer(wait=wait):
        if files.exists(CHECKPOINT):
            raise ConflictError(f"{folder} holds a log already.")
        signed = sign_checkpoint(Checkpoint(signer.name, 0, EMPTY_ROOT), signer)
        files.write(CHECKPOINT, signed.encode())
        files.sync()
        return signed


class LogReader:
    """Reads a log as its files stand; believes nothing but what follows from a checkpoint."""

    def __init__(self, read: Callable[[str], bytes]) -> None:
        self._read = read

    def checkpoint(self) -> SignedCheckpoint:
        """Return the present checkpoint, unverified. Raises MalformedError, NotFoundError."""
        return parse_checkpoint(self._read(CHECKPOINT))

    def entry(self, index: int, size: int) -> bytes:
        """Return one entry. Raises LedgerError, NotFoundError."""
        if not 0 <= index < size:
            raise NotFoundError(f"the log has {size} entries; there is no entry {index}.")
        bundle = index // TILE_WIDTH
        width = tile_width(0, bundle, size)
        found = decode_bundle(self._read(bundle_path(bundle, width)), width)
        return found[index % TILE_WIDTH]

    def entries(self, start: int, size: int) -> Iterator[bytes]:
        """Yield the entries from `start` on, bundle by bundle. Raises as `entry`."""
        for bundle in range(start // TILE_WIDTH, -(-size // TILE_WIDTH)):
            width = tile_width(0, bundle, size)
            found = decode_bundle(self._read(bundle_path(bundle, width)), width)
            yield from found[max(0, start - bundle * TILE_WIDTH) :]

    def proof(self, index: int) -> LogProof:
        """Return the proof that an entry is in the present tree. Raises LedgerError."""
        signed = self.checkpoint()
        tree = TileTree(signed.checkpoint.size, self._read)
        return LogProof(index, tree.inclusion(index), signed)

    def consistency(self, old_size: int, size: int) -> tuple[bytes, ...]:
        """Return the proof that the tree of `size` grew from `old_size`. Raises LedgerError."""
        return TileTree(size, self._read).consistency(old_size)


class Ledger:
    """The one writer of a log. What `append` returned is durable and signed."""

    def __init__(self, folder: Path, signer: NoteSigner) -> None:
        """See `open`."""
        self._files = LogFolder(folder)
        self._signer = signer
        self.reader = LogReader(self._files.read)
        self._signed = self.reader.checkpoint()
        verify_checkpoint(self._signed, origin=signer.name, key=signer.key)
        self._writer = self._take_up()

    def _take_up(self) -> TreeWriter:
        checkpoint = self._signed.checkpoint
        writer = TreeWriter(self._files, checkpoint.size)
        writer.check(checkpoint.root)
        return writer

    @classmethod
    @contextmanager
    def open(cls, folder: Path, signer: NoteSigner, *, wait: bool = False) -> Iterator[Ledger]:
        """Open a log to append to it.

        Args:
            folder: The log's.
            signer: Its key.
            wait: Wait for another writer to end, instead of refusing.

        Raises:
            ConflictError: Another process appends to it.
            NotFoundError: The folder holds no log.
            LedgerError: Its checkpoint is not this signer's, or its files are damaged.
        """
        files = LogFolder(folder)
        if not files.exists(CHECKPOINT):
            raise NotFoundError(f"{folder} holds no log.", hint="Make one: manatee ledger init.")
        with files.only_writer(wait=wait):
            yield cls(folder, signer)

    def checkpoint(self) -> SignedCheckpoint:
        """Return the last checkpoint."""
        return self._signed

    def append(self, entries: Sequence[bytes]) -> tuple[int, ...]:
        """Append entries and sign the new tree.

        Order of writes: full tiles and bundles, partial ones, then the checkpoint. A crash before
        the last leaves the log as it was; equal entries may be appended twice, and are two.

        Returns:
            Their indices, from 0.

        Raises:
            TooLargeError: An entry or the batch is too large; nothing was appended.
            StoreError: The disk does not take it. Nothing was appended, unless only the last step
                failed, that makes the checkpoint durable: then `checkpoint` tells.
        """
        if len(entries) > MAX_BATCH:
            raise TooLargeError(f"at most {MAX_BATCH} entries are appended at once.")
        first = self._signed.checkpoint.size
        try:
            for entry in entries:
                self._writer.append(entry)
            self._writer.flush()
            checkpoint = Checkpoint(self._signer.name, self._writer.size, self._writer.root())
            signed = sign_checkpoint(checkpoint, self._signer)
            self._publish(signed)
        except BaseException:
            # what was written belongs to no checkpoint: begin again from the last one
            self._signed = self.reader.checkpoint()
            self._writer = self._take_up()
            raise
        return tuple(range(first, checkpoint.size))

    def add_cosignatures(self, signatures: tuple[NoteSignature, ...]) -> None:
        """Publish cosignatures with the present checkpoint; the caller has verified them."""
        self._publish(self._signed.with_signatures(signatures))

    def _publish(self, signed: SignedCheckpoint) -> None:
        self._files.write(CHECKPOINT, signed.encode())
        self._files.sync()
        self._signed = signed

    def proof(self, index: int) -> bytes:
        """Return the proof of an entry as text. Raises LedgerError."""
        return self.reader.proof(index).encode()
