"""Backups: one tar file of one moment of the database and all blobs that it knows.

The database is dumped first. Blobs never change and are never removed, so all that it names can
be read afterwards, while the service goes on. Every file in the archive has a digest, in
`backup.json` or as its name. Nothing is restored over an existing database, and the database
comes last: what was stopped half-way is repeated.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec
from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from manatee.errors import DamagedBlobError, MalformedError, StoreError
from manatee.records import Digest, canonical_json, digest_file, parse_digest
from manatee.store._blobs._disk import disk
from manatee.store._blobs._folder import FolderPlace
from manatee.store._blobs._interface import Place
from manatee.store._blobs._objects import objects_at
from manatee.store._blobs._pieces import Pieces
from manatee.store._blobs._staging import BlobWriter
from manatee.store._dumps import dump, kind_of, load
from manatee.store._engines import open_engines
from manatee.store._migrate import is_empty, revision_of, revisions
from manatee.store._records import Blob
from manatee.store._schema import BlobRow

_HEAD, _DATABASE = "backup.json", "database"
_MAX_HEAD_BYTES = 256 << 20
_CHUNK_BYTES = 1 << 20


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a backup says of itself; its first file."""

    format: int
    kind: str
    revision: str
    database: str
    blobs: tuple[tuple[str, int], ...]
    """Digest and size of each."""


@dataclass(frozen=True)
class Installation:
    """Where a store is: as `open_store` has it."""

    folder: Path
    database_url: str
    blobs_url: str

    def place(self) -> Place:
        """Return where its blobs are."""
        return objects_at(self.blobs_url) if self.blobs_url else FolderPlace(self.folder / "blobs")


def back_up(at: Installation, target: Path) -> Head:
    """Write a backup while the service runs or not. Nobody but this user may read it.

    Raises:
        SettingsError: A URL cannot be used.
        StoreError: There is no database, the file is there already, or something failed; no file
            is left.
        DamagedBlobError: A blob is not what its name says.
    """
    engines = open_engines(at.database_url, at.folder)
    with disk():
        if target.exists():
            raise StoreError("there is a file of that name.", hint="Name one that is not there.")
        work = tempfile.TemporaryDirectory(dir=target.absolute().parent, prefix=".backup-")
    try:
        with work as name, disk():
            database = Path(name) / _DATABASE
            revision = _revision(at, engines.reading)
            dump(at.folder, at.database_url, database)
            head = Head(
                format=1,
                kind=kind_of(at.database_url),
                revision=revision,
                database=digest_file(database)[0],
                blobs=_blobs(engines.reading),
            )
            part = Path(name) / "archive"
            part.touch(mode=0o600)
            with tarfile.open(part, "w", format=tarfile.PAX_FORMAT) as archive:
                _add(archive, _HEAD, io.BytesIO(canonical_json(head)), len(canonical_json(head)))
                with database.open("rb") as file:
                    _add(archive, _DATABASE, file, database.stat().st_size)
                for digest, size in head.blobs:
                    blob = _Checked(at.place().read(Digest(digest), 0, size))
                    _add(archive, digest, blob, size)
                    blob.require(digest)
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.rename(target)
            return head
    except SQLAlchemyError as error:
        raise StoreError(f"the database cannot be read ({type(error).__name__}).") from error
    finally:
        engines.reading.dispose()


def restore(at: Installation, source: Path) -> Head:
    """Bring a backup into an installation that has no database. All digests are checked.

    Raises:
        SettingsError: A URL cannot be used.
        MalformedError: The file is no backup, or not a whole one; there is no database then.
        StoreError: There is a database, of the other kind or not; or something failed.
    """
    engines = open_engines(at.database_url, at.folder)
    try:
        with disk():
            at.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not source.is_file():
            raise MalformedError("there is no such backup.")
        if _exists(at, engines.reading):
            raise StoreError(
                "there is a database already.", hint="Restore into an empty MANATEE_HOME."
            )
        with disk(), tempfile.TemporaryDirectory(dir=at.folder, prefix=".restore-") as name:
            with tarfile.open(source, "r:") as archive:
                head = _unpack(archive, at, Path(name))
            load(at.folder, at.database_url, Path(name) / _DATABASE)
            return head
    except (tarfile.TarError, EOFError) as error:
        raise MalformedError("the file is not a whole backup.") from error
    except SQLAlchemyError as error:
        raise StoreError(f"the database cannot be reached ({type(error).__name__}).") from error
    finally:
        engines.reading.dispose()


def _unpack(archive: tarfile.TarFile, at: Installation, work: Path) -> Head:
    """Check everything; put the blobs into their place and the database into a folder."""
    raw = _next(archive, _HEAD).read(_MAX_HEAD_BYTES)
    try:
        head = msgspec.json.decode(raw, type=Head)
    except msgspec.DecodeError as error:
        raise MalformedError("the file is no backup of this format.") from error
    if head.format != 1 or head.revision not in revisions():
        raise StoreError("the backup is of another release.", hint="Use the one that wrote it.")
    if head.kind != kind_of(at.database_url):
        raise StoreError(
            f"the backup is of {head.kind}, and database_url of {kind_of(at.database_url)}.",
            hint="A backup goes back to the kind of database it came from.",
        )
    database = work / _DATABASE
    with database.open("xb") as file:
        for chunk in _chunks(_next(archive, _DATABASE)):
            file.write(chunk)
    if digest_file(database)[0] != head.database:
        raise MalformedError("the database in the backup is damaged.")
    incoming, place = work / "incoming", at.place()
    incoming.mkdir()

    def keep(staged: Path, blob: Blob, pieces: Pieces, _account: str | None) -> None:
        place.accept(staged, blob.digest, pieces)

    for digest, size in head.blobs:
        content = _next(archive, digest)
        with BlobWriter(incoming, parse_digest(digest), size, keep) as writer:
            for chunk in _chunks(content):
                writer.write(chunk)
            writer.finish(None)
    return head


def _exists(at: Installation, engine: Engine) -> bool:
    """Return whether there is a database; asking SQLite would make one."""
    if not at.database_url:
        return any(at.folder.glob("manatee.db*"))
    with engine.connect() as connection:
        return not is_empty(connection)


def _revision(at: Installation, engine: Engine) -> str:
    found = None
    if _exists(at, engine):
        with engine.connect() as connection:
            found = revision_of(connection)
    if found is None:
        raise StoreError(
            "there is no database with a schema of ours.",
            hint="One of a release without migrations is copied with its folder.",
        )
    return found


def _blobs(engine: Engine) -> tuple[tuple[str, int], ...]:
    with engine.connect() as connection:
        wanted = select(BlobRow.digest, BlobRow.size).order_by(BlobRow.digest)
        return tuple((row.digest, row.size) for row in connection.execute(wanted))


def _add(archive: tarfile.TarFile, name: str, content: IO[bytes], size: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o600
    archive.addfile(entry, content)


def _next(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    """Return the next file of an archive, which has to be that one. Paths are never used."""
    entry = archive.next()
    content = None if entry is None or entry.name != name else archive.extractfile(entry)
    if content is None:
        raise MalformedError("the file is not a whole backup.")
    return content


def _chunks(content: IO[bytes]) -> Iterator[bytes]:
    return iter(lambda: content.read(_CHUNK_BYTES), b"")


class _Checked(io.BytesIO):
    """Bytes that arrive in portions, read as a file of exactly that length, and digested."""

    def __init__(self, portions: Iterator[bytes]) -> None:
        super().__init__()
        self._portions = portions
        self._left = b""
        self._state = hashlib.sha256()

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes, as many as asked for."""
        wanted = _CHUNK_BYTES if size is None or size < 0 else size
        got = bytearray(self._left)
        while len(got) < wanted and (more := next(self._portions, b"")):
            got += more
        self._left = bytes(got[wanted:])
        self._state.update(got[:wanted])
        if len(got) < wanted:
            raise DamagedBlobError("a stored blob is shorter than it was.")
        return bytes(got[:wanted])

    def require(self, digest: str) -> None:
        """Refuse bytes of another digest.

        Raises:
            DamagedBlobError: They are.
        """
        if "sha256:" + self._state.hexdigest() != digest:
            raise DamagedBlobError("a stored blob is not what its digest says.")
