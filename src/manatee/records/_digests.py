"""Digests and length-prefixed framing: how records are named and bound."""

import hashlib
import re
from pathlib import Path
from typing import Annotated, Any, BinaryIO, NewType

from manatee.errors import MalformedError
from manatee.records._forms import form
from manatee.records._json import canonical_json

Digest = NewType("Digest", str)
"""`sha256:` and 64 lower-case hexadecimal digits."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

DigestText = Annotated[
    str, form(r"^sha256:[0-9a-f]{64}\Z", "a digest: sha256: and 64 lower-case hexadecimal digits")
]
"""A digest as a record's member; read records refuse any other text."""

_CHUNK = 1 << 20


def parse_digest(text: str) -> Digest:
    """Check the form of a digest.

    Raises:
        MalformedError: Any other text.
    """
    if not _DIGEST.fullmatch(text):
        raise MalformedError("a digest is 'sha256:' and 64 lower-case hexadecimal digits.")
    return Digest(text)


def digest_bytes(data: bytes) -> Digest:
    """Return the SHA-256 digest of bytes."""
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


def digest_stream(stream: BinaryIO) -> tuple[Digest, int]:
    """Return digest and length in bytes of everything left in a stream."""
    state = hashlib.sha256()
    size = 0
    while chunk := stream.read(_CHUNK):
        state.update(chunk)
        size += len(chunk)
    return Digest("sha256:" + state.hexdigest()), size


def digest_file(path: Path) -> tuple[Digest, int]:
    """Return digest and length in bytes of a file."""
    with path.open("rb") as stream:
        return digest_stream(stream)


def digest_record(record: Any) -> Digest:
    """Return the digest of a record's canonical JSON: the name everything else binds to."""
    return digest_bytes(canonical_json(record))


def raw_digest(digest: str) -> bytes:
    """Return the 32 bytes of a digest."""
    return bytes.fromhex(parse_digest(digest).removeprefix("sha256:"))


def length_prefixed(*parts: bytes | str) -> bytes:
    """Frame parts so that no two different lists give the same bytes.

    Each part (text as UTF-8) is preceded by its length as 8 bytes, big-endian. The protocol
    page writes this as lp(…).
    """
    framed = bytearray()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        framed += len(raw).to_bytes(8, "big") + raw
    return bytes(framed)
