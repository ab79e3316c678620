"""The default: an age X25519 identity in a file of the broker's own.

The recipient is public: whoever has it can wrap, so a provider's publishing machine needs no
identity. age authenticates what it encrypts but takes no associated data, so the binding stands
inside the plaintext (`_bound_plaintext`).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyrage

from manatee.custody._bound_plaintext import with_binding, without_binding
from manatee.custody._secret_file import read_secret
from manatee.errors import CustodyDeniedError, MalformedError, SealingError, SettingsError

KIND = "age"


def key_id_of(recipient: str) -> str:
    """Return the key id of an age recipient: the same on every machine that knows it."""
    return "age-" + hashlib.sha256(recipient.encode()).hexdigest()[:16]


def new_identity() -> tuple[str, str]:
    """Return a fresh age identity (secret) and its recipient (public), both as text."""
    identity = pyrage.x25519.Identity.generate()
    return str(identity), str(identity.to_public())


class AgeKey:
    """A `KeyEncryptionKey` in a file, or only its public half."""

    def __init__(self, recipient: str, *, identity_file: Path | None) -> None:
        """Take a recipient; the identity is read when something is opened, and not kept.

        Raises:
            MalformedError: Not an age X25519 recipient.
        """
        try:
            self._recipient = pyrage.x25519.Recipient.from_str(recipient)
        except pyrage.RecipientError as error:
            raise MalformedError("an age recipient starts with age1 and is 62 long.") from error
        if str(self._recipient) != recipient:
            raise MalformedError("an age recipient must be written in lower case.")
        self.reference = recipient
        self._identity_file = identity_file
        self.where = (
            "public half only: wraps, cannot unwrap"
            if identity_file is None
            else f"identity in the file {identity_file}"
        )

    def __repr__(self) -> str:
        return f"AgeKey({self.reference})"

    def exportable(self) -> bool:
        """A file can always be copied."""
        return True

    def seal(self, data_key: bytes, binding: bytes) -> bytes:
        """Encrypt to the recipient."""
        try:
            return bytes(pyrage.encrypt(with_binding(data_key, binding), [self._recipient]))
        except pyrage.EncryptError as error:
            raise SealingError("the data key could not be wrapped under age.") from error

    def open(self, sealed: bytes, binding: bytes) -> bytes:
        """Decrypt with the identity."""
        identity = self._identity()
        try:
            plaintext = bytes(pyrage.decrypt(sealed, [identity]))
        except pyrage.DecryptError as error:
            raise SealingError(
                "a data key did not open: another identity, or damaged bytes."
            ) from error
        return without_binding(plaintext, binding)

    def _identity(self) -> pyrage.x25519.Identity:
        if self._identity_file is None:
            raise CustodyDeniedError(
                "this machine holds only the public half of the key: it wraps, but cannot unwrap."
            )
        text = read_secret(self._identity_file, what="age identity")
        try:
            identity = pyrage.x25519.Identity.from_str(text)
        except pyrage.IdentityError:
            # without the cause: its text is not ours to vouch for
            raise SettingsError(f"{self._identity_file} holds no age identity.") from None
        if str(identity.to_public()) != self.reference:
            raise SettingsError(
                f"{self._identity_file} holds the identity of another recipient.",
                hint="Put the right file back; data keys open with no other.",
            )
        return identity
