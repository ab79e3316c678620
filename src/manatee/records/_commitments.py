"""Outputs named without a word about them: commitments that hide what they bind.

A statement is stored, logged and shown where outputs may not be seen. The plain digest of an output
that is one small number proves a guess at it; a commitment proves nothing to whoever lacks the
salt, which travels inside the sealed outputs (decision 0029).
"""

from __future__ import annotations

import hmac
import re
import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Annotated, Final

from manatee.errors import MalformedError
from manatee.records._base import Record, RelativePath
from manatee.records._forms import form

SALT_BYTES: Final = 32
"""Length of a run's salt, in bytes."""

Commitment = Annotated[
    str,
    form(
        r"^hmac-sha256:[0-9a-f]{64}\Z",
        "a commitment: hmac-sha256: and 64 lower-case hexadecimal digits",
    ),
]
"""HMAC-SHA-256 under the run's salt of an output's path, a zero byte and the output's bytes."""

_SALT = re.compile(rb"[0-9a-f]{64}\n")


class OutputFile(Record, frozen=True, kw_only=True):
    """A file the executor takes from the run; `path` is below the output folder."""

    path: RelativePath
    data: bytes


class OutputEntry(Record, frozen=True, kw_only=True):
    """One output as a statement names it: without its digest, and without its size."""

    path: RelativePath
    commitment: Commitment


def new_salt() -> bytes:
    """Return a salt for one run, from the operating system."""
    return secrets.token_bytes(SALT_BYTES)


@dataclass(frozen=True)
class RunOutputs:
    """What a run leaves, with the salt that opens the statement's commitments to it.

    Attributes:
        files: The outputs, the executed notebook among them.
        salt: 32 bytes, secret as long as the outputs are.
    """

    files: tuple[OutputFile, ...] = ()
    salt: bytes = field(default_factory=new_salt, repr=False)

    def entries(self) -> tuple[OutputEntry, ...]:
        """Return the files as a statement names them, in the same order."""
        return tuple(
            OutputEntry(path=file.path, commitment=commitment_to(self.salt, file.path, file.data))
            for file in self.files
        )


def commitment_to(salt: bytes, path: str, data: bytes) -> str:
    """Return the commitment to one output.

    Raises:
        MalformedError: The salt does not have 32 bytes: HMAC pads and hashes keys, so that salts
            of several lengths could open one commitment in two ways.
    """
    if len(salt) != SALT_BYTES:
        raise MalformedError(f"the salt of outputs has {SALT_BYTES} bytes.")
    state = hmac.new(salt, path.encode() + b"\0", sha256)
    state.update(data)
    return f"hmac-sha256:{state.hexdigest()}"


def salt_text(salt: bytes) -> bytes:
    """Return a salt as archives and run bundles keep it: a file of one line of hexadecimal."""
    return salt.hex().encode() + b"\n"


def read_salt(text: bytes) -> bytes:
    """Read what `salt_text` made.

    Raises:
        MalformedError: Anything else.
    """
    if not _SALT.fullmatch(text):
        raise MalformedError("the salt of outputs is a line of 64 lower-case hexadecimal digits.")
    return bytes.fromhex(text.decode())
