r"""A wrapped data key as bytes: a magic, the kind and id of its key, and what the place made.

    "manatee-key/v1\n" · u8 length · kind · u8 length · key id · u16 length · sealed

Lengths are big-endian and nothing may follow. Kind and key id say where to look, and are
authenticated: both are in the binding, so a changed one opens nothing.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from manatee.errors import SealingError
from manatee.records import length_prefixed

MAX_WRAPPED_BYTES = 8192
"""Largest wrapped key that is read; the largest a place makes is below 1 KiB (RSA-4096)."""

_MAGIC = b"manatee-key/v1\n"
_NAME = re.compile(rb"[a-z0-9][a-z0-9._-]{0,62}\Z")


@dataclass(frozen=True)
class WrappedBlob:
    """The parts of a wrapped key; `sealed` is ciphertext."""

    kind: str
    key_id: str
    sealed: bytes


def pack_blob(blob: WrappedBlob) -> bytes:
    """Return the one encoding of a wrapped key.

    Raises:
        SealingError: Kind or key id are no names, or `sealed` is empty or too long.
    """
    kind, key_id = blob.kind.encode(), blob.key_id.encode()
    if not (_NAME.match(kind) and _NAME.match(key_id)):
        raise SealingError("a wrapped key's kind and key id must be lower-case names.")
    if not 0 < len(blob.sealed) <= MAX_WRAPPED_BYTES - 256:
        raise SealingError("the key custody answered with a ciphertext of impossible length.")
    return b"".join(
        (
            _MAGIC,
            len(kind).to_bytes(1, "big"),
            kind,
            len(key_id).to_bytes(1, "big"),
            key_id,
            len(blob.sealed).to_bytes(2, "big"),
            blob.sealed,
        )
    )


def parse_blob(data: bytes) -> WrappedBlob:
    """Read what `pack_blob` wrote, and nothing else.

    Raises:
        SealingError: Any other bytes.
    """
    if len(data) > MAX_WRAPPED_BYTES or not data.startswith(_MAGIC):
        raise SealingError("this is no wrapped data key.")
    kind, rest = _field(data[len(_MAGIC) :], 1)
    key_id, rest = _field(rest, 1)
    sealed, rest = _field(rest, 2)
    if rest or not sealed or not (_NAME.match(kind) and _NAME.match(key_id)):
        raise SealingError("a wrapped data key is damaged.")
    return WrappedBlob(kind.decode(), key_id.decode(), sealed)


def _field(data: bytes, width: int) -> tuple[bytes, bytes]:
    length = int.from_bytes(data[:width], "big")
    end = width + length
    if len(data) < end:
        raise SealingError("a wrapped data key is cut off.")
    return data[width:end], data[end:]


def binding_of(kind: str, key_id: str, context: bytes) -> bytes:
    """Return what a place authenticates: SHA-256 over kind, key id and context, 32 bytes."""
    return hashlib.sha256(length_prefixed("manatee-custody/v1", kind, key_id, context)).digest()
