"""What a place that keeps the contents of blobs must do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from manatee.records import Digest
from manatee.store._blobs._pieces import Pieces


class Place(Protocol):
    """Keeps whole blobs under their digests; knows nothing of accounts or of the database.

    A place may fail, lie or lose bytes: whoever reads through `manatee.store._blobs._checked` is
    handed none that are wrong. It must never show a blob in part, whatever stops it half-way.
    """

    def accept(self, staged: Path, digest: Digest, pieces: Pieces) -> None:
        """Make a staged file durable under its digest.

        When this returns, the blob survives the loss of power and of this process, and can be
        read by every process that opens the same place. Called again, by anybody at any time, it
        does no harm and heals a blob that was damaged.

        Args:
            staged: A complete file that was flushed to its disk; it may be moved away.
            digest: Of its bytes.
            pieces: Size and digests of its pieces.

        Raises:
            StoreFullError: There is no room.
            StoreRefusedError: The place does not let us in; the operator must act.
            StoreError: It failed; nothing that counts was changed.
        """

    def read(self, digest: Digest, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes from `start` up to `end`, in any portions. Not checked here.

        Raises:
            DamagedBlobError: There is no such blob.
            StoreRefusedError: The place does not let us in.
            StoreError: It failed.
        """

    def link(self, digest: Digest, target: Path) -> bool:
        """Put a blob at a path that is free, read-only, without copying it, if that can be done.

        Raises:
            DamagedBlobError: There is no such blob.
            StoreError: It failed.
        """

    def probe(self) -> None:
        """Find out whether blobs can be looked for here. Changes nothing.

        Raises:
            StoreRefusedError: The place does not let us in, or is not there.
            StoreError: It failed.
        """
