"""Files of a log's folder: written whole and durably, or not at all."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from manatee.errors import ConflictError, NotFoundError, StoreError

MAX_FILE_BYTES = 32 << 20
"""Cap of one file of a log: 256 entries of 64 KiB, and then some."""


class LogFolder:
    """A folder of static files. Every write is atomic; `sync` makes new names durable."""

    def __init__(self, folder: Path, *, mode: int = 0o777) -> None:
        """Name a folder; it is made, with this mode less the umask, when it is first held."""
        self.path = folder
        self._mode = mode
        self._touched: set[Path] = set()

    def read(self, name: str) -> bytes:
        """Return a file.

        Raises:
            NotFoundError: There is none.
            StoreError: It cannot be read.
        """
        try:
            with (self.path / name).open("rb") as stream:
                return stream.read(MAX_FILE_BYTES)
        except FileNotFoundError as error:
            raise NotFoundError(f"the log has no file {name}.") from error
        except OSError as error:
            raise StoreError(f"the log's file {name} cannot be read.") from error

    def exists(self, name: str) -> bool:
        """Whether a file is there. Raises StoreError when that cannot be seen."""
        try:
            return (self.path / name).exists()
        except OSError as error:
            raise StoreError(f"the log's file {name} cannot be looked for.") from error

    def write(self, name: str, data: bytes) -> None:
        """Write a file, replacing what was there.

        Raises:
            StoreError: The disk does not take it; the old file, if any, is as it was.
        """
        path = self.path / name
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with temporary.open("xb") as stream:
                    stream.write(data)
                    stream.flush()
                    os.fsync(stream.fileno())
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"the log's file {name} cannot be written ({error.strerror}).",
                hint="Nothing was acknowledged; make room and try again.",
            ) from error
        self._touched.add(path.parent)

    def sync(self) -> None:
        """Make the names of all files written since the last call durable.

        Raises:
            StoreError: The disk does not take it.
        """
        folders = {parent for path in self._touched for parent in (path, *path.parents)}
        for folder in sorted(item for item in folders if item.is_relative_to(self.path)):
            try:
                descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
            except OSError as error:
                raise StoreError(
                    f"the log's folder cannot be made durable ({error.strerror}).",
                    hint="Look at the disk, then see what the log holds before trying again.",
                ) from error
        self._touched.clear()

    @contextmanager
    def only_writer(self, *, wait: bool = False, lock: str = ".lock") -> Iterator[None]:
        """Hold the folder against other writers.

        Args:
            wait: Wait for another writer to end, instead of refusing.
            lock: Name of the file that is locked; whoever uses another name is not held up.

        Raises:
            ConflictError: Another writer holds it.
            StoreError: The folder cannot be made or locked.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=self._mode)
            descriptor = os.open(self.path / lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(
                f"the folder {self.path} cannot be written ({error.strerror})."
            ) from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError as error:
                raise ConflictError(
                    f"another process writes to the log in {self.path}.",
                    hint="A log has one writer at a time.",
                ) from error
            except OSError as error:
                raise StoreError(
                    f"the folder {self.path} cannot be locked ({error.strerror})."
                ) from error
            yield
        finally:
            os.close(descriptor)
