"""The keys of pseudonyms: one secret, one key per project and kind of identifier.

HKDF-SHA-256 (RFC 5869) separates projects and names: who learns every pseudonym of one project
learns nothing about those of another, nor may two kinds of identifiers be joined by accident.

The secret is a provider's own, or a `SharedKey` that several providers agreed on for one project.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from manatee.errors import SettingsError
from manatee.provisioning.pets._private_files import read_private, write_private

SECRET_BYTES = 32
KEY_FORMAT = "manatee-pseudonym-key/1"


@dataclass(frozen=True)
class ProjectKey:
    """The key of one kind of identifier in one project. Its bytes are never shown.

    Attributes:
        shared: Fingerprint of the shared key it was derived from; empty for a provider's own.
    """

    name: str
    key: bytes = field(repr=False)
    shared: str = ""

    def digest(self, message: bytes) -> bytes:
        """Return HMAC-SHA-256 of a message, 32 bytes."""
        return hmac.digest(self.key, message, "sha256")


@dataclass(frozen=True)
class SharedKey:
    """What a ceremony leaves with each provider. Its bytes are never shown."""

    project: str
    secret: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """128 bits that tell shared keys apart; they reveal nothing of the secret."""
        told = hashlib.sha256(derive(self.secret, b"fingerprint")).hexdigest()
        return grouped(told[:32])

    def key(self, name: str) -> ProjectKey:
        """Derive the key of a kind of identifier. Raises SettingsError for an empty name."""
        made = project_key(self.secret, project=self.project, name=name)
        return ProjectKey(made.name, made.key, self.fingerprint)


class _KeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    project: str
    secret: str


def project_key(secret: bytes, *, project: str, name: str) -> ProjectKey:
    """Derive the key of a project's kind of identifier.

    Raises:
        SettingsError: Not 32 secret bytes, or an empty project or name.
    """
    if len(secret) != SECRET_BYTES or not project or not name:
        raise SettingsError("a project key needs a secret of 32 bytes, a project and a name.")
    return ProjectKey(name, derive(secret, b"project-key", project.encode(), name.encode()))


def derive(secret: bytes, *parts: bytes, salt: bytes | None = None) -> bytes:
    """Return HKDF-SHA-256 of a secret; parts are told apart by their lengths."""
    info = b"manatee-pseudonyms/1" + b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return HKDF(algorithm=SHA256(), length=SECRET_BYTES, salt=salt, info=info).derive(secret)


def grouped(digits: str) -> str:
    """Return digits in groups of four, for reading aloud."""
    return " ".join(digits[start : start + 4] for start in range(0, len(digits), 4))


def write_shared_key(path: Path, key: SharedKey) -> None:
    """Write a shared key into a new file that only its owner can read.

    Raises:
        ConflictError: The file exists.
        SettingsError: It cannot be written.
    """
    told = _KeyFile(KEY_FORMAT, key.project, key.secret.hex())
    write_private(path, msgspec.json.encode(told).decode())


def read_shared_key(path: Path) -> SharedKey:
    """Read a shared key from its file.

    Raises:
        SettingsError: Unreadable, open to others, or no shared key.
    """
    text = read_private(path)
    try:
        told = msgspec.json.decode(text, type=_KeyFile)
        secret = bytes.fromhex(told.secret)
    except (msgspec.DecodeError, ValueError, RecursionError):
        secret = b""  # without the cause: it could quote the file
    if len(secret) != SECRET_BYTES or told.format != KEY_FORMAT or not told.project:
        raise SettingsError(
            f"the file {path} is no shared pseudonym key.",
            hint="`manatee pseudonym-key accept` writes one.",
        )
    return SharedKey(told.project, secret)
