"""Blobs by digest: metadata in the database, contents in a folder.

A blob arrives in a locked file beside the others, is hashed while it is written, made durable, and
only then renamed to its digest and recorded. Whatever stops that half-way leaves nothing that
counts; the next start removes the rest. Blobs never change and are never partly there.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import select

from manatee._clock import Clock, timestamp
from manatee.errors import MalformedError, NotFoundError, StoreError, TooLargeError
from manatee.records import Digest, parse_digest
from manatee.store._database import Database
from manatee.store._records import Blob
from manatee.store._schema import BlobRow, UploadRow

CHUNK_BYTES = 1 << 20
"""How much of a blob is read at one time."""


@contextlib.contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise StoreError(
            "the disk is full." if full else f"the object store failed ({error.strerror}).",
            hint="Make room for MANATEE_HOME and try again." if full else "",
        ) from error


class BlobWriter:
    """One arriving blob. Leave the `with` block without `finish` and nothing remains."""

    def __init__(self, blobs: Blobs, expected: Digest, max_bytes: int) -> None:
        self._blobs = blobs
        self._expected = expected
        self._max_bytes = max_bytes
        self._state = hashlib.sha256()
        self._size = 0
        with _disk():
            self._path = blobs.incoming / secrets.token_hex(16)
            self._file = self._path.open("xb", buffering=0)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def __enter__(self) -> BlobWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)
        self._file.close()

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
        with _disk():
            view = memoryview(chunk)
            while view:
                view = view[self._file.write(view) :]

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
        with _disk():
            os.fchmod(self._file.fileno(), 0o444)
            os.fsync(self._file.fileno())
            target = self._blobs.path_of(blob.digest)
            target.parent.mkdir(parents=True, exist_ok=True)
            self._path.rename(target)
            for folder in (target.parent, target.parent.parent):
                descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
        self._blobs.record(blob, account)
        return blob


class Blobs:
    """The object store of one installation."""

    def __init__(self, database: Database, folder: Path, clock: Clock) -> None:
        self._database = database
        self._folder = folder
        self._clock = clock
        self.incoming = folder / "incoming"
        with _disk():
            self.incoming.mkdir(parents=True, exist_ok=True)
            self._remove_abandoned()

    def _remove_abandoned(self) -> None:
        for path in self.incoming.iterdir():
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue  # somebody is writing it
                path.unlink()

    def path_of(self, digest: str) -> Path:
        """Return where a blob is kept; says nothing about whether it is there."""
        name = parse_digest(digest).removeprefix("sha256:")
        return self._folder / name[:2] / name

    def writer(self, digest: str, *, max_bytes: int) -> BlobWriter:
        """Begin to take in a blob.

        Args:
            digest: What its bytes must hash to.
            max_bytes: Cap, in bytes.

        Raises:
            MalformedError: Not a digest.
            StoreError: The object store failed.
        """
        return BlobWriter(self, parse_digest(digest), max_bytes)

    def put(
        self, digest: str, chunks: Iterable[bytes], *, account: str | None, max_bytes: int
    ) -> Blob:
        """Take in a whole blob. Raises as `BlobWriter.write` and `finish` do."""
        with self.writer(digest, max_bytes=max_bytes) as writer:
            for chunk in chunks:
                writer.write(chunk)
            return writer.finish(account)

    def record(self, blob: Blob, account: str | None) -> None:
        """Write the metadata of a blob whose contents are in place. Idempotent."""
        with self._database.write() as session:
            if session.get(BlobRow, blob.digest) is None:
                now = timestamp(self._clock())
                session.add(BlobRow(digest=blob.digest, size=blob.size, created_at=now))
                session.flush()
            if account is not None:
                session.merge(UploadRow(digest=blob.digest, account=account))

    def find(self, digest: str) -> Blob | None:
        """Return a blob's metadata, or None."""
        with self._database.read() as session:
            row = session.get(BlobRow, digest)
            return None if row is None else Blob(Digest(row.digest), row.size)

    def uploaded_by(self, account: str, digests: Iterable[str]) -> frozenset[str]:
        """Return which of the digests the account has uploaded itself."""
        wanted = set(digests)
        with self._database.read() as session:
            mine = select(UploadRow.digest).where(UploadRow.account == account)
            if len(wanted) <= 100:
                mine = mine.where(UploadRow.digest.in_(wanted))
            return frozenset(wanted.intersection(session.scalars(mine)))

    def open(self, digest: str) -> BinaryIO:
        """Open a blob for reading.

        Raises:
            NotFoundError: No such blob.
            StoreError: The object store failed.
        """
        if self.find(digest) is None:
            raise NotFoundError("there is no such blob.")
        with _disk():
            return self.path_of(digest).open("rb")

    def read(self, digest: str) -> bytes:
        """Return a whole blob; for small ones. Raises as `open` does."""
        with self.open(digest) as file, _disk():
            return file.read()

    def materialise(self, digest: str, target: Path) -> None:
        """Put a blob at a path, read-only, by hard link where the file system allows it.

        Replaces what is there. The parent folder is made. Whoever reads the file checks the digest.

        Raises:
            NotFoundError: No such blob.
            StoreError: The object store failed.
        """
        if self.find(digest) is None:
            raise NotFoundError("there is no such blob.")
        with _disk():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            source = self.path_of(digest)
            try:
                target.hardlink_to(source)
            except OSError as error:
                if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
                    raise
                shutil.copyfile(source, target)
                target.chmod(0o444)
