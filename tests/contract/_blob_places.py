"""What the tests of the object store share."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from manatee.records import digest_bytes
from manatee.store import Blobs
from manatee.store._blobs._objects import ObjectsPlace, objects_at

from ._s3 import BUCKET

KINDS = ("folder", "s3")
DATA = b"some ciphertext"
DIGEST = digest_bytes(DATA)
SECRET = "wJalrXUtnFEMI-secret"


def bucket_place(prefix: str = "clean/room", bucket: str = BUCKET) -> ObjectsPlace:
    return objects_at(f"s3+http://{bucket}/{prefix}", patience=timedelta(seconds=2), again=1)


def put(blobs: Blobs, data: bytes = DATA) -> str:
    half = len(data) // 2
    chunks = [data[:half], data[half:]]
    return blobs.put(digest_bytes(data), chunks, account=None, max_bytes=len(data)).digest


def staged(blobs: Blobs) -> list[Path]:
    return list(blobs.incoming.iterdir())
