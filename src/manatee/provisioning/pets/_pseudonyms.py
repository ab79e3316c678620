"""Pseudonyms: keyed, the same wherever the key is the same, meaningless to whoever lacks it.

HMAC-SHA-256, truncated: text gets up to 32 hex digits, whole numbers get 63 bits. Two identifiers
of one column get the same 63 bits with a chance below n * n / 2**64 (1 in 180,000 for ten million
persons); where identifiers are a table's key that is checked, and refused.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from manatee.contracts import Column
from manatee.errors import ProvisioningError
from manatee.provisioning.pets._interface import Context, TreatmentRecord
from manatee.provisioning.pets._project_keys import ProjectKey

MIN_DIGITS = 16
MAX_DIGITS = 32
"""Hex digits of a text pseudonym: 64 bits at least, 128 at most."""


@dataclass(frozen=True)
class Pseudonym:
    """Replace identifiers under a key of the project."""

    key: str
    name = "pseudonym"

    def check(self, column: Column) -> None:
        """Refuse what is no identifier, and text too short for 64 bits."""
        if not self.key:
            raise ProvisioningError("a pseudonym needs the name of a key.")
        if column.type != "identifier":
            raise ProvisioningError(
                f"pseudonyms are for identifiers, not {column.type}.",
                hint="Keyed or not, a short list of values is found again by counting.",
            )
        if column.holds == "text" and column.max_length < MIN_DIGITS:
            raise ProvisioningError(
                f"max_length leaves a pseudonym fewer than {MIN_DIGITS} characters.",
                hint=f"Let max_length be {MAX_DIGITS} in the contract.",
            )

    def begin(self, column: Column, context: Context) -> _PseudonymRun:
        """Start on a column. Raises ProvisioningError if the run has no such key."""
        if self.key not in context.keys:
            raise ProvisioningError(
                f"the run has no pseudonym key {self.key!r}.",
                hint="Its context must have a key of that name.",
            )
        return _PseudonymRun(column, context.keys[self.key])


def encoded(value: int | str) -> bytes:
    """Return the bytes that are keyed: a number and its digits as text differ."""
    return b"i" + str(value).encode() if isinstance(value, int) else b"t" + value.encode()


class _PseudonymRun:
    def __init__(self, column: Column, key: ProjectKey) -> None:
        self._column, self._key = column, key

    def apply(self, values: pa.Array) -> pa.Array:
        coded = values.dictionary_encode()
        digests = [self._key.digest(encoded(value)) for value in coded.dictionary.to_pylist()]
        told: pa.Array
        if self._column.holds == "integer":
            told = pa.array([int.from_bytes(d[:8], "big") >> 1 for d in digests], pa.int64())
        else:
            digits = min(self._column.max_length, MAX_DIGITS)
            told = pa.array([digest.hex()[:digits] for digest in digests], pa.string())
        return told.take(coded.indices)

    def record(self) -> TreatmentRecord:
        parameters = {"key": self._key.name, "function": "HMAC-SHA-256"}
        if self._key.shared:
            parameters["shared_key"] = self._key.shared
        return TreatmentRecord(
            self._column.name,
            "pseudonym",
            "no formal guarantee; without the key nobody computes or reverses a pseudonym",
            None,
            (
                "the key's holders can link every person",
                "which rows belong to one person, and how many",
                "a person recognised by other columns, in all of their rows",
            ),
            parameters,
        )


class Collisions:
    """Refuses two key values that became one pseudonym; holds 8 bytes a row."""

    def __init__(self, column: str) -> None:
        self._column, self._seen = column, [np.empty(0, dtype=np.int64)]

    def add(self, pseudonyms: pa.Array) -> None:
        """Take the pseudonyms of a batch of distinct identifiers."""
        self._seen.append(pseudonyms.to_numpy(zero_copy_only=False).astype(np.int64))

    def finish(self) -> None:
        """Raise ProvisioningError if two are the same."""
        every = np.sort(np.concatenate(self._seen))
        if (every[1:] == every[:-1]).any():
            raise ProvisioningError(
                f"two identifiers of column {self._column!r} would share a pseudonym.",
                hint="Check that the key column is unique; else use another project name.",
            )
