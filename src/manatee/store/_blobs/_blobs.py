"""Blobs by digest: metadata in the database, contents in a place that may be elsewhere.

A blob arrives in a locked file of the staging folder, is hashed while it is written, made durable
in its place, and only then recorded. Whatever stops that half-way leaves nothing that counts; the
next start removes the rest. Blobs never change, are never partly there, and every byte that is
read is checked before it is handed on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from manatee._clock import Clock, timestamp
from manatee.errors import NotFoundError
from manatee.records import Digest, parse_digest
from manatee.store._allowances import check, take
from manatee.store._blobs._checked import checked
from manatee.store._blobs._disk import disk
from manatee.store._blobs._interface import Place
from manatee.store._blobs._pieces import Pieces
from manatee.store._blobs._staging import BlobWriter, StagedFile, remove_abandoned
from manatee.store._database import Database
from manatee.store._records import Blob
from manatee.store._schema import AccountRow, BlobRow, UploadRow


def _payer(session: Session, account: str) -> str:
    """Return the organisation whose quota an account's uploads use."""
    row = session.get(AccountRow, account)
    if row is None:
        raise NotFoundError("there is no such account.")
    return row.organisation


class Blobs:
    """The object store of one installation."""

    def __init__(self, database: Database, place: Place, incoming: Path, clock: Clock) -> None:
        """Use a place.

        Args:
            database: Knows which blobs there are.
            place: Keeps their contents.
            incoming: Staging folder; of the same file system as the place, if that is a folder.
            clock: For the rows.

        Raises:
            StoreError: The staging folder cannot be used.
        """
        self._database = database
        self._place = place
        self._clock = clock
        self.incoming = incoming
        with disk():
            incoming.mkdir(parents=True, exist_ok=True)
            remove_abandoned(incoming)

    def probe(self) -> None:
        """Find out whether contents can be looked for. Changes nothing.

        Raises:
            StoreRefusedError: The place is not there or does not let us in; the operator must act.
            StoreError: The place failed.
        """
        self._place.probe()

    def writer(self, digest: str, *, max_bytes: int) -> BlobWriter:
        """Begin to take in a blob.

        Args:
            digest: What its bytes must hash to.
            max_bytes: Cap, in bytes.

        Raises:
            MalformedError: Not a digest.
            StoreError: The object store failed.
        """
        return BlobWriter(self.incoming, parse_digest(digest), max_bytes, self._keep)

    def _keep(self, staged: Path, blob: Blob, pieces: Pieces, account: str | None) -> None:
        if account is not None:
            with self._database.read() as session:  # asked first: nothing over a quota is kept
                if session.get(UploadRow, (blob.digest, account)) is None:
                    check(session, "organisation", _payer(session, account), blob.size)
        self._place.accept(staged, blob.digest, pieces)
        self._record(blob, pieces, account)

    def put(
        self, digest: str, chunks: Iterable[bytes], *, account: str | None, max_bytes: int
    ) -> Blob:
        """Take in a whole blob. Raises as `BlobWriter.write` and `finish` do."""
        with self.writer(digest, max_bytes=max_bytes) as writer:
            for chunk in chunks:
                writer.write(chunk)
            return writer.finish(account)

    def _record(self, blob: Blob, pieces: Pieces, account: str | None) -> None:
        with self._database.write() as session:
            if session.get(BlobRow, blob.digest) is None:
                row = BlobRow(
                    digest=blob.digest,
                    size=blob.size,
                    piece_digests=pieces.digests,
                    created_at=timestamp(self._clock()),
                )
                session.add(row)
                session.flush()
            if account is not None and session.get(UploadRow, (blob.digest, account)) is None:
                take(session, "organisation", _payer(session, account), stored_bytes=blob.size)
                session.add(UploadRow(digest=blob.digest, account=account))

    def find(self, digest: str) -> Blob | None:
        """Return a blob's metadata, or None."""
        with self._database.read() as session:
            row = session.get(BlobRow, digest)
            return None if row is None else Blob(Digest(row.digest), row.size)

    def _found(self, digest: str) -> tuple[Digest, Pieces]:
        with self._database.read() as session:
            row = session.get(BlobRow, digest)
            if row is None:
                raise NotFoundError("there is no such blob.")
            return Digest(row.digest), Pieces(row.size, row.piece_digests)

    def uploaded_by(self, account: str, digests: Iterable[str]) -> frozenset[str]:
        """Return which of the digests the account has uploaded itself."""
        wanted = set(digests)
        with self._database.read() as session:
            mine = select(UploadRow.digest).where(UploadRow.account == account)
            if len(wanted) <= 100:
                mine = mine.where(UploadRow.digest.in_(wanted))
            return frozenset(wanted.intersection(session.scalars(mine)))

    def stream(self, digest: str, start: int = 0, end: int | None = None) -> Generator[bytes]:
        """Yield a blob, or its bytes from `start` up to `end`, checked before they are handed on.

        Raises:
            NotFoundError: No such blob; at once, before the first byte is asked for.
            DamagedBlobError: What is stored are other bytes.
            StoreError: The object store failed.
        """
        known, pieces = self._found(digest)
        return checked(self._place, known, pieces, start, end)

    def read(self, digest: str) -> bytes:
        """Return a whole blob; for small ones. Raises as `stream` does."""
        return b"".join(self.stream(digest))

    @contextlib.contextmanager
    def as_file(self, digest: str) -> Iterator[Path]:
        """Give a checked copy of a blob as a file, for the length of the block.

        Raises as `stream` does, and StoreError where there is no room for the copy.
        """
        with StagedFile(self.incoming) as copy:
            for chunk in self.stream(digest):
                copy.write(chunk)
            yield copy.path

    def materialise(self, digest: str, target: Path) -> None:
        """Put a blob at a path, read-only, by hard link where the place can do that.

        Replaces what is there. The parent folder is made. Whoever reads the file checks the digest.

        Raises:
            NotFoundError: No such blob.
            StoreError: The object store failed.
        """
        known, pieces = self._found(digest)
        with disk():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
        if self._place.link(known, target):
            return
        with StagedFile(target.parent) as copy:
            for chunk in checked(self._place, known, pieces):
                copy.write(chunk)
            copy.seal()
            with disk():
                copy.path.rename(target)
