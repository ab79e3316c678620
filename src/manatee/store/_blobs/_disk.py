"""What a disk's failures mean here."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from manatee.errors import StoreError, StoreFullError


@contextlib.contextmanager
def disk() -> Iterator[None]:
    """Turn the errors of the operating system into ours.

    Raises:
        StoreFullError: No room, or the quota is used up.
        StoreError: Any other failure.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFullError(
                "the disk is full.", hint="Make room for MANATEE_HOME and try again."
            ) from error
        raise StoreError(f"the object store failed ({error.strerror}).") from error


def flush_folder(folder: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
