"""The files of a data set on disk: named, sized and digested, and nothing beside them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from manatee.errors import SealingError
from manatee.records import FileEntry, digest_file, digest_stream


def describe(folder: Path, path: str) -> FileEntry:
    """Return the entry of a file just written, for a data set manifest."""
    digest, size = digest_file(folder / path)
    return FileEntry(path=path, sha256=digest, size=size)


def check_folder(folder: Path, files: tuple[FileEntry, ...]) -> None:
    """Check that a folder holds exactly the named files, as plain files.

    Raises:
        SealingError: A file is missing, more than named, named twice, or a link or device.
    """
    named = {entry.path for entry in files}
    if not files or len(named) != len(files):
        raise SealingError("a data set names each of its files once, and at least one.")
    found: set[str] = set()
    for parent, folders, names in os.walk(folder, onerror=_refuse):
        for name in folders:
            if (Path(parent) / name).is_symlink():
                raise SealingError("the data set's folder holds a link.")
        for name in names:
            path = Path(parent) / name
            if not stat.S_ISREG(path.lstat().st_mode):
                raise SealingError("the data set's folder holds something that is not a file.")
            found.add(path.relative_to(folder).as_posix())
    if found != named:
        raise SealingError(
            f"the data set's folder misses {len(named - found)} of its files and holds "
            f"{len(found - named)} that are not in its manifest."
        )


def _refuse(error: OSError) -> None:
    raise SealingError("the data set's folder cannot be read.") from error


@contextmanager
def verified(folder: Path, entry: FileEntry) -> Iterator[BinaryIO]:
    """Open a file once, check size and SHA-256, and hand over the same open file at its start.

    What a host changes in the file after the check is caught by the encryption's own
    authentication when the file is sealed; a plain file has no such second wall.

    Raises:
        SealingError: Not a plain file, or other bytes than the manifest names.
    """
    try:
        descriptor = os.open(folder / entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise SealingError("a file of the data set cannot be opened.") from error
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size != entry.size:
            raise SealingError("a file of the data set has not the size its manifest names.")
        digest, size = digest_stream(stream)
        if (digest, size) != (entry.sha256, entry.size):
            raise SealingError("a file of the data set has not the digest its manifest names.")
        stream.seek(0)
        yield stream
