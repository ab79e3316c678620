"""The keys of pseudonyms: one secret of a provider, one key per project and kind of identifier.

HKDF-SHA-256 (RFC 5869) separates projects and names: who learns every pseudonym of one project
learns nothing about those of another, nor may two kinds of identifiers be joined by accident.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from manatee.errors import ConflictError, SettingsError

SECRET_BYTES = 32


@dataclass(frozen=True)
class ProjectKey:
    """The key of one kind of identifier in one project. Its bytes are never shown."""

    name: str
    key: bytes = field(repr=False)

    def digest(self, message: bytes) -> bytes:
        """Return HMAC-SHA-256 of a message, 32 bytes."""
        return hmac.digest(self.key, message, "sha256")


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


def fingerprint(secret: bytes) -> str:
    """Return 128 bits that two people read to each other; they reveal nothing of the secret."""
    short = hashlib.sha256(derive(secret, b"fingerprint")).hexdigest()[:32]
    return " ".join(short[start : start + 4] for start in range(0, 32, 4))


def new_secret(path: Path) -> bytes:
    """Make a secret in a file that only its owner can read. Raises as `write_private`."""
    secret = secrets.token_bytes(SECRET_BYTES)
    write_private(path, secret.hex())
    return secret


def read_secret(path: Path) -> bytes:
    """Read a secret from its file.

    Raises:
        SettingsError: As `read_private`, or no secret stands there.
    """
    text = read_private(path)
    try:
        secret = bytes.fromhex(text)
    except ValueError:
        secret = b""  # without the cause: it could quote the file
    if len(secret) != SECRET_BYTES:
        raise SettingsError(f"the file {path} holds no pseudonym secret of 64 hex digits.")
    return secret


def read_private(path: Path) -> str:
    """Read a file that belongs to its owner alone.

    Raises:
        SettingsError: Unreadable, a link, too large, or open to others.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise SettingsError(f"the secret file {path} cannot be read.") from error
    with os.fdopen(handle, "rb") as stream:
        found = os.fstat(stream.fileno())
        if not stat.S_ISREG(found.st_mode) or stat.S_IMODE(found.st_mode) & 0o077:
            raise SettingsError(
                f"the secret file {path} must be a plain file that only its owner can read.",
                hint=f"Run `chmod 600 {path}`, and consider whether it must be replaced.",
            )
        data = stream.read(65_537)
    if len(data) > 65_536 or not data.isascii():
        raise SettingsError(f"the secret file {path} is too large or not plain text.")
    return data.decode("ascii").strip()


def write_private(path: Path, text: str, *, replace: bool = False) -> None:
    """Write a file for its owner alone, whole or not at all.

    Raises:
        ConflictError: It exists, and `replace` was not asked for.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "w") as stream:
            stream.write(text + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        if replace:
            os.replace(temporary, path)
        else:
            os.link(temporary, path)
    except FileExistsError as error:
        raise ConflictError(f"the secret file {path} exists; it is never overwritten.") from error
    finally:
        temporary.unlink(missing_ok=True)
