"""The object store: blobs by digest, in a folder or in a bucket."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from manatee._clock import Clock
from manatee.store._blobs._blobs import Blobs
from manatee.store._blobs._folder import FolderPlace
from manatee.store._blobs._interface import Place
from manatee.store._blobs._objects import objects_at
from manatee.store._blobs._staging import BlobWriter
from manatee.store._database import Database

__all__ = ["BlobWriter", "Blobs", "open_blobs", "try_blob_store"]


def try_blob_store(url: str) -> None:
    """Write and read one small object in the object store that a URL names; waits 10 s at most.

    Raises:
        SettingsError: The URL cannot be used.
        StoreError: It does not answer, refuses, or gives back other bytes than it was given.
    """
    objects_at(url, patience=timedelta(seconds=10), again=0).try_out()


def open_blobs(database: Database, folder: Path, clock: Clock, *, url: str = "") -> Blobs:
    """Open the object store.

    Args:
        database: Knows which blobs there are.
        folder: Where blobs are staged, and kept if there is no URL.
        clock: For the rows.
        url: See `objects_at`; "" for the folder.

    Raises:
        SettingsError: The URL cannot be used.
        StoreError: The folder cannot be used.
    """
    place: Place = objects_at(url) if url else FolderPlace(folder)
    return Blobs(database, place, folder / "incoming", clock)
