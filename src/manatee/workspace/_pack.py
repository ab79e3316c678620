"""Packing: a folder becomes one archive, whole or not at all."""

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from manatee.errors import WorkspaceError
from manatee.records import Digest
from manatee.workspace._limits import BUFFER_BYTES
from manatee.workspace._tar import END, member_header, padding
from manatee.workspace._tree import Entry, changed_while_packed, describe, list_tree


class _HashingWriter:
    """Writes and hashes in one pass."""

    def __init__(self, target: BinaryIO) -> None:
        self._target = target
        self._state = hashlib.sha256()

    def write(self, data: bytes | memoryview) -> None:
        self._state.update(data)
        self._target.write(data)

    def digest(self) -> Digest:
        return Digest("sha256:" + self._state.hexdigest())


@contextlib.contextmanager
def _written_whole(archive: Path) -> Iterator[BinaryIO]:
    """Give a file that takes the archive's name only when the block ended well."""
    part = archive.with_name(f".{archive.name}.{secrets.token_hex(8)}.part")
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise WorkspaceError(f"the archive cannot be written ({error.strerror}).") from error
    try:
        with open(handle, "wb", buffering=BUFFER_BYTES) as target:
            yield target
            target.flush()
            os.fsync(target.fileno())
        os.replace(part, archive)
    except OSError as error:
        raise WorkspaceError(f"the archive cannot be written ({error.strerror}).") from error
    finally:
        part.unlink(missing_ok=True)


def _copy(folder: Path, entry: Entry, writer: _HashingWriter, buffer: memoryview) -> None:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        handle = os.open(folder / entry.name, flags)
    except OSError as error:
        raise WorkspaceError(f"{entry.name!r} cannot be read ({error.strerror}).") from error
    with open(handle, "rb", buffering=0) as source:
        if describe(entry.name, os.fstat(handle)) != entry:
            raise changed_while_packed(entry.name)
        left = entry.size
        while left:
            got = source.readinto(buffer[: min(left, len(buffer))])
            if not got:
                raise changed_while_packed(entry.name)
            writer.write(buffer[:got])
            left -= got
        if source.read(1):
            raise changed_while_packed(entry.name)


def pack(folder: Path, archive: Path) -> Digest:
    """Pack a folder into a deterministic archive and return the archive's digest.

    The same files give the same bytes, wherever the folder lies and whatever the files' times,
    owners and modes. `SKIPPED_NAMES` and `SKIPPED_SUFFIXES` are left out.

    Args:
        folder: The workspace.
        archive: Where to write; outside of `folder`. Replaced if it exists.

    Effects: writes a hidden file beside `archive`, syncs it to disk and renames it; on an error
    nothing is left and an earlier archive stays as it was.

    Raises:
        WorkspaceError: The folder holds a link, device or other special file, a name that is not
            the same everywhere, or too much; or it changed while it was packed; or the archive
            cannot be written.
    """
    if archive.resolve().is_relative_to(folder.resolve()):
        raise WorkspaceError("the archive would lie inside the workspace it is made of.")
    entries = list_tree(folder)
    buffer = memoryview(bytearray(BUFFER_BYTES))
    with _written_whole(archive) as target:
        writer = _HashingWriter(target)
        for entry in entries:
            writer.write(member_header(entry.name, entry.size, folder=entry.folder))
            if not entry.folder:
                _copy(folder, entry, writer, buffer)
                writer.write(padding(entry.size))
        writer.write(END)
        if list_tree(folder) != entries:
            raise WorkspaceError(
                "the workspace changed while it was packed.",
                hint="Save and stop what writes to it, then try again.",
            )
    return writer.digest()
