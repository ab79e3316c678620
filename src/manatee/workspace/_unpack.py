"""Unpacking: only the archive that was named, only as `pack` wrote it, whole or not at all."""

import os
import shutil
from pathlib import Path

from manatee.errors import MalformedError, WorkspaceError
from manatee.records import digest_file, parse_digest
from manatee.workspace._members import Member, open_archive


def _check_digest(archive: Path, expected: str) -> None:
    try:
        found, _ = digest_file(archive)
        wanted = parse_digest(expected)
    except OSError as error:
        raise WorkspaceError(f"the archive cannot be read ({error.strerror}).") from error
    except MalformedError as error:
        raise WorkspaceError(f"the expected digest is not one: {error}") from error
    if found != wanted:
        raise WorkspaceError("the archive is not the one the manifest names: digests differ.")


def _write(member: Member, folder: Path) -> None:
    target = folder / member.name
    if member.folder:
        target.mkdir(mode=0o755)
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(target, flags, 0o644), "wb") as file:
        for chunk in member.chunks():
            file.write(chunk)


def unpack(archive: Path, folder: Path, *, expected: str) -> None:
    """Unpack an archive into a new folder.

    The digest is checked before anything is parsed, and once more over the very bytes that were
    unpacked: whoever can write to the archive while it is read gains nothing.

    Args:
        archive: What `pack` wrote.
        folder: Must not exist, or be empty.
        expected: The archive's digest, from the job manifest.

    Effects: writes below `folder` only. On an error the folder is empty.

    Raises:
        WorkspaceError: Another digest, any deviation from what `pack` writes, a folder that holds
            something, or a disk that is full.
    """
    _check_digest(archive, expected)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise WorkspaceError("the folder to unpack into is not empty.")
    except OSError as error:
        raise WorkspaceError(f"cannot unpack there ({error.strerror}).") from error
    try:
        with open_archive(archive) as reader:
            for member in reader.members():
                _write(member, folder)
            if reader.digest() != expected:
                raise WorkspaceError("the archive changed while it was unpacked.")
    except OSError as error:
        _empty(folder)
        raise WorkspaceError(f"the workspace cannot be written ({error.strerror}).") from error
    except WorkspaceError:
        _empty(folder)
        raise


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
