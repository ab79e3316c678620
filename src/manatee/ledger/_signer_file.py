"""A log's or witness's private key in a file of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from manatee.errors import MalformedError, StoreError
from manatee.ledger._note import NoteSigner, new_signer
from manatee.records import Base64, Record, canonical_json, read_record, to_base64, unbase64


class _SignerFile(Record, frozen=True, kw_only=True):
    format_version: Literal[1] = 1
    name: str
    algorithm: int
    private_key: Base64


def signer_in(path: Path, name: str, algorithm: int) -> NoteSigner:
    """Return the key in a file; makes it on first use, readable by its owner alone.

    Args:
        path: The file.
        name: Of a key that is made now; one that is there keeps its own.
        algorithm: `ED25519` for a log, `COSIGNATURE` for a witness.

    Raises:
        MalformedError: The file holds something else, or a key of another type.
        StoreError: It cannot be read or written.
    """
    try:
        if not path.exists():
            _write(path, new_signer(name, algorithm))
        data = path.read_bytes()
    except OSError as error:
        raise StoreError(f"the key file {path} cannot be used ({error.strerror}).") from error
    found = read_record(data, _SignerFile, what=path.name)
    private = unbase64(found.private_key)
    if len(private) != 32 or found.algorithm != algorithm:
        raise MalformedError(f"{path.name}: not an Ed25519 key of the type that is needed here.")
    return NoteSigner(found.name, algorithm, private)


def _write(path: Path, signer: NoteSigner) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    record = _SignerFile(
        name=signer.name, algorithm=signer.algorithm, private_key=to_base64(signer.private)
    )
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(canonical_json(record))
        stream.flush()
        os.fsync(stream.fileno())
    try:
        os.link(temporary, path)  # whoever was first made the key; it is never replaced
    except FileExistsError:
        pass
    finally:
        temporary.unlink(missing_ok=True)
