"""Files that belong to their owner alone: written whole or not at all, read only if private."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from manatee.errors import ConflictError, SettingsError

_MOST_BYTES = 65_536


def read_private(path: Path) -> str:
    """Read a file that belongs to its owner alone.

    Raises:
        SettingsError: Unreadable, a link, too large, or open to others.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise SettingsError(
            f"the secret file {path} cannot be read.",
            hint="It must be there, be readable for you, and be no symbolic link.",
        ) from error
    with os.fdopen(handle, "rb") as stream:
        found = os.fstat(stream.fileno())
        if not stat.S_ISREG(found.st_mode) or stat.S_IMODE(found.st_mode) & 0o077:
            raise SettingsError(
                f"the secret file {path} must be a plain file that only its owner can read.",
                hint=f"Run `chmod 600 {path}`, and consider whether it must be replaced.",
            )
        data = stream.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES or not data.isascii():
        raise SettingsError(f"the secret file {path} is too large or not plain text.")
    return data.decode("ascii").strip()


def write_private(path: Path, text: str, *, replace: bool = False) -> None:
    """Write a file for its owner alone, whole or not at all.

    Raises:
        ConflictError: It exists, and `replace` was not asked for.
        SettingsError: It cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(handle, "w") as stream:
                stream.write(text + "\n")
                stream.flush()
                os.fsync(stream.fileno())
            if replace:
                os.replace(temporary, path)
            else:
                os.link(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except FileExistsError as error:
        raise ConflictError(
            f"the secret file {path} exists; it is never overwritten.",
            hint="Name another file, or move the old one away if nothing needs it.",
        ) from error
    except OSError as error:
        raise SettingsError(
            f"the secret file {path} cannot be written.",
            hint="Its folder must exist and be writable for you.",
        ) from error
