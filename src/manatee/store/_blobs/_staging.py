"""Files that are being written, each held by a lock; what nobody holds any more is removed."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from manatee.errors import MalformedError, TooLargeError
from manatee.records import Digest
from manatee.store._blobs._disk import disk
from manatee.store._blobs._pieces import PieceHasher, Pieces
from manatee.store._records import Blob


class StagedFile:
    """A file of its own name in the staging folder, gone at the end of the `with` block.

    The lock lasts as long as the file is open, and no longer than the process.
    """

    def __init__(self, folder: Path) -> None:
        with disk():
            self.path = folder / secrets.token_hex(16)
            self._file = self.path.open("xb", buffering=0)
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:  # a sweep holds it: it was seen between its making and this line
                self._file.close()
                raise

    def __enter__(self) -> StagedFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.path.unlink(missing_ok=True)
        self._file.close()

    def write(self, chunk: bytes) -> None:
        """Append bytes.

        Raises:
            StoreError: They could not be written.
        """
        with disk():
            view = memoryview(chunk)
            while view:
                view = view[self._file.write(view) :]

    def seal(self) -> None:
        """Make the file read-only and durable.

        Raises:
            StoreError: It could not be made durable.
        """
        with disk():
            os.fchmod(self._file.fileno(), 0o444)
            os.fsync(self._file.fileno())


def remove_abandoned(folder: Path) -> None:
    """Remove the files that no living process holds. Raises OSError."""
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue  # somebody is writing it
            path.unlink()


Keep = Callable[[Path, Blob, Pieces, str | None], None]
"""Takes over a staged file that has the right digest: path, blob, its pieces, and who sent it."""


class BlobWriter:
    """One arriving blob. Leave the `with` block without `finish` and nothing remains."""

    def __init__(self, folder: Path, expected: Digest, max_bytes: int, keep: Keep) -> None:
        self._staged = StagedFile(folder)
        self._expected = expected
        self._max_bytes = max_bytes
        self._keep = keep
        self._state = hashlib.sha256()
        self._hasher = PieceHasher()
        self._size = 0

    def __enter__(self) -> BlobWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._staged.__exit__()

    def write(self, chunk: bytes) -> None:
        """Take the next bytes.

        Raises:
            TooLargeError: More than the cap.
            StoreError: They could not be written.
        """
        self._size += len(chunk)
        if self._size > self._max_bytes:
            raise TooLargeError(f"the blob has more than {self._max_bytes} bytes.")
        self._state.update(chunk)
        self._hasher.update(chunk)
        self._staged.write(chunk)

    def finish(self, account: str | None) -> Blob:
        """Check the digest and make the blob durable; after this it is there for good.

        Args:
            account: Who uploaded it; None for what a guest left.

        Raises:
            MalformedError: The bytes have another digest.
            StoreError: They could not be made durable.
        """
        found = "sha256:" + self._state.hexdigest()
        if found != self._expected:
            raise MalformedError(
                f"the bytes received have digest {found}, not {self._expected}.",
                hint="Upload again; the file may have changed meanwhile.",
            )
        blob = Blob(self._expected, self._size)
        self._staged.seal()
        self._keep(self._staged.path, blob, self._hasher.pieces(), account)
        return blob
