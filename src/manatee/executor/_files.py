"""Taking files from the kernel's output folder without believing a word of it."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from manatee.errors import OutputCheckError, TooLargeError
from manatee.records import OutputFile

MAX_ENTRIES = 10_000
"""Files and folders that are looked at; more is refused."""


@dataclass(frozen=True)
class Taken:
    """The declared files, and how many others were left where they are."""

    files: tuple[OutputFile, ...]
    undeclared: int


def take_files(folder: Path, declared: tuple[str, ...], *, max_bytes: int) -> Taken:
    """Read the declared outputs that exist.

    The kernel must be gone: nothing may change the folder meanwhile. No link is followed, at any
    level, and nothing but a regular file is opened.

    Args:
        folder: The kernel's output folder.
        declared: Relative paths that may leave.
        max_bytes: Cap of all of them together.

    Raises:
        OutputCheckError: A link, device, pipe or socket lies in the folder, or too many files.
        TooLargeError: The declared files are over `max_bytes`.
    """
    found = _list(folder)
    total = 0
    files = []
    for path in sorted(found & set(declared)):
        data = _read(folder, path, max_bytes - total)
        total += len(data)
        files.append(OutputFile(path=path, data=data))
    return Taken(files=tuple(files), undeclared=len(found - set(declared)))


def _list(folder: Path) -> set[str]:
    found: set[str] = set()
    seen = 0
    try:
        for where, folders, names, handle in os.fwalk(folder, follow_symlinks=False):
            seen += len(folders) + len(names)
            if seen > MAX_ENTRIES:
                raise OutputCheckError(f"there are over {MAX_ENTRIES} output files.")
            for name in [*folders, *names]:
                mode = os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode
                if stat.S_ISREG(mode):
                    found.add(os.path.relpath(os.path.join(where, name), folder))
                elif not stat.S_ISDIR(mode):
                    raise OutputCheckError("an output is a link, device, pipe or socket.")
    except OSError as error:
        raise OutputCheckError(f"the outputs cannot be read ({error.strerror}).") from error
    return found


def _read(folder: Path, path: str, max_bytes: int) -> bytes:
    """Open part by part, so that no component is a link, and read at most `max_bytes`."""
    *parents, name = path.split("/")
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        for parent in parents:
            below = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
            os.close(handle)
            handle = below
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=handle)
    except OSError as error:
        raise OutputCheckError(f"an output cannot be read ({error.strerror}).") from error
    finally:
        os.close(handle)
    with os.fdopen(file, "rb") as stream:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise OutputCheckError("an output is not a regular file.")
        if status.st_size > max_bytes:
            raise TooLargeError("the outputs are over the resource class's output size.")
        return stream.read(status.st_size)
