"""The provider's secret, and digests of private tables that only its holder can recompute.

A plain digest of a private table answers guesses: whoever knows all rows but one tries every value
of the last. So the digest in a statement is an HMAC under a secret that never leaves the provider,
who can prove with it which table a twin was made from, and nobody else can ask.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from manatee.contracts import Contract, PrivacyUnit
from manatee.errors import SettingsError
from manatee.provisioning.tables import Source

SECRET_BYTES = 32


def provider_secret(path: Path) -> bytes:
    """Return the provider's secret; made, for this user alone, when first needed.

    Raises:
        SettingsError: The file is no secret, or others may read it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secrets.token_bytes(SECRET_BYTES))
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(fresh, path)  # fails if another process made one first
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
        found = path.read_bytes()
        shared = path.stat().st_mode & 0o077
    except OSError as error:
        raise SettingsError(f"the provider's secret {path} cannot be read or made.") from error
    if len(found) != SECRET_BYTES or shared:
        raise SettingsError(
            f"{path} is no provider's secret, or others may read it.",
            hint=f"It has {SECRET_BYTES} bytes and mode 600.",
        )
    return found


def derived(secret: bytes, purpose: str) -> bytes:
    """Return 32 bytes for one purpose; they tell nothing about the secret or other purposes."""
    return hmac.digest(secret, f"manatee/{purpose}".encode(), "sha256")


def data_digest(source: Source, secret: bytes) -> str:
    """Return the keyed digest of the admitted tables, as `hmac-sha256:` and 64 hexadecimal digits.

    Covers names, schema, values and order of rows.
    """
    state = hmac.new(derived(secret, "data-digest"), digestmod=hashlib.sha256)
    for name in source.names:
        table = source.table(name)
        state.update(f"\x00table {name}\x00".encode())
        state.update(table.schema.serialize())
        for batch in _blocks(table.batches()):
            state.update(batch.serialize())
    return f"hmac-sha256:{state.hexdigest()}"


def _blocks(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield batches without the offsets and padding that depend on how they were cut."""
    for batch in batches:
        yield pa.RecordBatch.from_arrays(
            [pa.concat_arrays([column]) for column in batch.columns], schema=batch.schema
        )


def unbound(contract: Contract) -> Contract:
    """Return the contract without its bounds of rows per person, so that all rows are admitted.

    What is digested and sealed is the whole table in its order; bounds are for what is measured.
    """
    return replace(
        contract,
        privacy_unit=PrivacyUnit(),
        tables=tuple(replace(table, max_rows_per_person=None) for table in contract.tables),
    )
