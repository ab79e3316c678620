"""What a folder holds, listed in the archive's order and checked before a byte is copied."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from manatee.errors import WorkspaceError
from manatee.workspace._limits import MAX_BYTES, MAX_FILES, SKIPPED_NAMES, SKIPPED_SUFFIXES
from manatee.workspace._names import NameSet, printable


@dataclass(frozen=True)
class Entry:
    """One file or folder as it was found; equal to a later look only if nothing changed."""

    name: str
    folder: bool
    size: int
    inode: tuple[int, int]
    changed: tuple[int, int]


def describe(name: str, status: os.stat_result) -> Entry:
    """Turn what the system says of a path into an entry.

    Raises:
        WorkspaceError: It is neither a folder nor a plain file of one name.
    """
    folder = stat.S_ISDIR(status.st_mode)
    if not folder and not stat.S_ISREG(status.st_mode):
        kind = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "not a plain file"
        raise WorkspaceError(
            f"{printable(name)} is {kind}.",
            hint="A workspace holds files and folders only; copy what you need into it.",
        )
    if not folder and status.st_nlink != 1:
        raise WorkspaceError(
            f"{printable(name)} is a hard link: it has another name as well.",
            hint="Put a copy in its place.",
        )
    return Entry(
        name=name,
        folder=folder,
        size=0 if folder else status.st_size,
        inode=(status.st_dev, status.st_ino),
        changed=(0, 0) if folder else (status.st_mtime_ns, status.st_ctime_ns),
    )


def list_tree(folder: Path) -> list[Entry]:
    """List a folder, sorted by the bytes of the paths, skipping what is never packed.

    Raises:
        WorkspaceError: The folder cannot be read, is over a limit, or holds something a
            workspace must not hold.
    """
    entries: list[Entry] = []
    names = NameSet()
    total = 0
    waiting = [""]
    while waiting:
        parent = waiting.pop()
        try:
            with os.scandir(folder / parent) as found:
                items = list(found)
        except OSError as error:
            where = f"the folder {printable(parent)}" if parent else "the workspace folder"
            raise WorkspaceError(f"{where} cannot be read ({error.strerror}).") from error
        for item in items:
            if item.name in SKIPPED_NAMES or item.name.endswith(SKIPPED_SUFFIXES):
                continue
            name = f"{parent}/{item.name}" if parent else item.name
            names.add(name)
            try:
                entry = describe(name, item.stat(follow_symlinks=False))
            except OSError as error:
                raise changed_while_packed(name) from error
            total += entry.size
            entries.append(entry)
            if len(entries) > MAX_FILES:
                raise WorkspaceError(
                    f"the workspace holds more than {MAX_FILES} files and folders.",
                    hint="Leave out what the notebook does not need.",
                )
            if total > MAX_BYTES:
                raise WorkspaceError(
                    f"the workspace holds more than {MAX_BYTES >> 20} MiB.",
                    hint="Tables belong into a data set, not into the workspace.",
                )
            if entry.folder:
                waiting.append(name)
    return sorted(entries, key=lambda entry: entry.name.encode())


def changed_while_packed(name: str) -> WorkspaceError:
    """Return the error for a file that did not hold still."""
    return WorkspaceError(
        f"{printable(name)} changed while it was packed.",
        hint="Save and stop what writes to the workspace, then try again.",
    )
