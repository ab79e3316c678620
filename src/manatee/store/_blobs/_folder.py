"""Blobs in a folder of this machine, or of a file system that several machines share."""

from __future__ import annotations

import contextlib
import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

from manatee.errors import DamagedBlobError
from manatee.records import Digest
from manatee.store._blobs._disk import disk, flush_folder
from manatee.store._blobs._pieces import PIECE_BYTES, Pieces

_NOT_LINKABLE = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP)


@contextlib.contextmanager
def _found() -> Iterator[None]:
    with disk():
        try:
            yield
        except FileNotFoundError as error:
            raise DamagedBlobError(
                "a stored blob is gone from its folder.",
                hint="Upload it again, or restore it from a backup.",
            ) from error


class FolderPlace:
    """Keeps each blob as one read-only file named by its digest.

    A staged file of the same file system is renamed into place, so that no blob is ever there in
    part.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path_of(self, digest: Digest) -> Path:
        """Return where a blob is kept; says nothing about whether it is there."""
        name = digest.removeprefix("sha256:")
        return self._folder / name[:2] / name

    def accept(self, staged: Path, digest: Digest, pieces: Pieces) -> None:
        """Move the staged file into place; see `Place.accept`."""
        with disk():
            target = self.path_of(digest)
            target.parent.mkdir(parents=True, exist_ok=True)
            staged.rename(target)
            flush_folder(target.parent)
            flush_folder(target.parent.parent)

    def read(self, digest: Digest, start: int, end: int) -> Iterator[bytes]:
        """Yield bytes of the file; see `Place.read`."""
        with _found():
            file = self.path_of(digest).open("rb", buffering=0)
        with file:
            file.seek(start)
            while start < end:
                with disk():
                    portion = file.read(min(PIECE_BYTES, end - start))
                if not portion:
                    return
                start += len(portion)
                yield portion

    def link(self, digest: Digest, target: Path) -> bool:
        """Link to the file, or copy it where the file system cannot link; see `Place.link`."""
        source = self.path_of(digest)
        with _found():
            try:
                target.hardlink_to(source)
            except OSError as error:
                if error.errno not in _NOT_LINKABLE:
                    raise
                shutil.copyfile(source, target)
                target.chmod(0o444)
        return True

    def probe(self) -> None:
        """Look into the folder; see `Place.probe`."""
        with disk():
            next(self._folder.iterdir(), None)
