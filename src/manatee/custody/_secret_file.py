"""Small files that only their owner may read: identities, PINs, tokens."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from manatee.errors import ConflictError, SettingsError

_MAX_BYTES = 4096


def read_secret(path: Path, *, what: str) -> str:
    """Return the text of a secret's file, without white space around it.

    Args:
        path: The file.
        what: What the caller calls it, for the message; the content never stands there.

    Raises:
        SettingsError: There is none, it is empty, too large or no text, is a link to elsewhere,
            or others than its owner may read or change it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise SettingsError(f"the {what} cannot be read from {path}.") from error
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise SettingsError(f"the {what} at {path} is not a plain file.")
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise SettingsError(
                f"the {what} at {path} is open to others than its owner.",
                hint=f"Run `chmod 600 {path}`, and consider whether it must be replaced.",
            )
        data = os.read(descriptor, _MAX_BYTES + 1)
    finally:
        os.close(descriptor)
    try:
        text = data.decode("ascii").strip()
    except UnicodeDecodeError:
        # the decoder's own error would quote the secret's bytes
        text = ""
    if not text or len(data) > _MAX_BYTES:
        raise SettingsError(f"the {what} at {path} is empty, too large or not plain text.")
    return text


def write_secret(path: Path, text: str, *, what: str) -> None:
    """Write a secret's file, readable by its owner alone, whole or not at all.

    Raises:
        ConflictError: The file exists; a secret is never overwritten.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(text + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.link(temporary, path)
    except FileExistsError as error:
        raise ConflictError(f"the {what} at {path} exists; it is never overwritten.") from error
    finally:
        temporary.unlink(missing_ok=True)
