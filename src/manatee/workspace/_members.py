"""Reading an archive member by member, refusing whatever `pack` would not have written."""

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

from manatee.errors import WorkspaceError
from manatee.workspace._limits import BUFFER_BYTES, MAX_BYTES, MAX_FILES
from manatee.workspace._names import NameSet, printable
from manatee.workspace._tar import HeaderReader, padding


class Member:
    """One file or folder of an archive. A file's bytes can be read once, before the next one."""

    def __init__(self, archive: "ArchiveReader", name: str, size: int, *, folder: bool) -> None:
        self.name = name
        self.size = size
        self.folder = folder
        self._archive = archive
        self._left = size

    def chunks(self) -> Iterator[bytes]:
        """Yield what is left of the file, in pieces of at most 1 MiB."""
        while self._left:
            chunk = self._archive.read(min(self._left, BUFFER_BYTES))
            self._left -= len(chunk)
            yield chunk


class ArchiveReader:
    """An open archive; hashes each byte it reads, so that what was used is what was named."""

    def __init__(self, path: Path) -> None:
        try:
            self._source = path.open("rb")
        except OSError as error:
            raise WorkspaceError(f"the archive cannot be read ({error.strerror}).") from error
        self._state = hashlib.sha256()

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    def digest(self) -> str:
        """Return the digest of everything read so far."""
        return "sha256:" + self._state.hexdigest()

    def read(self, size: int) -> bytes:
        """Return exactly `size` bytes.

        Raises:
            WorkspaceError: The archive ends before.
        """
        try:
            data = self._source.read(size)
        except OSError as error:
            raise WorkspaceError(f"the archive cannot be read ({error.strerror}).") from error
        if len(data) != size:
            raise WorkspaceError("the archive is cut short.", hint="Pack the folder again.")
        self._state.update(data)
        return data

    def members(self) -> Iterator[Member]:
        """Yield all members in order, then make sure that nothing follows.

        Raises:
            WorkspaceError: The archive is not, byte for byte, one that `pack` writes.
        """
        headers = HeaderReader(self.read)
        names = NameSet()
        folders = {""}
        before = b""
        count = total = 0
        while (found := headers.next()) is not None:
            name, size, folder = found
            names.add(name)
            count += 1
            total += size
            if count > MAX_FILES or total > MAX_BYTES:
                raise WorkspaceError("the archive holds more than a workspace may.")
            if name.encode() <= before or name.rpartition("/")[0] not in folders:
                raise WorkspaceError(f"the archive's member {printable(name)} is out of order.")
            before = name.encode()
            if folder:
                folders.add(name)
            member = Member(self, name, size, folder=folder)
            yield member
            for _ in member.chunks():
                pass
            if self.read(len(padding(size))) != padding(size):
                raise WorkspaceError("the archive hides bytes between its members.")
        if self._source.read(1):
            raise WorkspaceError("the archive has bytes after its end.")


@contextlib.contextmanager
def open_archive(path: Path) -> Iterator[ArchiveReader]:
    """Open an archive for reading; closes it at the end of the block."""
    reader = ArchiveReader(path)
    try:
        yield reader
    finally:
        reader.close()
