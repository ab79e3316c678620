"""What a key custody is, and what one key-encryption key in it must do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class CustodyDescription:
    """Where one key-encryption key lives, for people; nothing in it is secret."""

    key_id: str
    """Name of the key in this custody; wrapped data keys carry it."""
    kind: str
    """`age`, `pkcs11`, `aws-kms`, `gcp-kms`, `azure-key-vault` or `vault-transit`."""
    key: str
    """The place's own reference to the key: recipient, label, ARN, resource name or URL."""
    where: str
    """In words: a file, a token, a cloud service."""
    exportable: bool
    """Whether someone at that place could read the key out and keep a copy."""
    retired: bool = False


class KeyCustody(Protocol):
    """Holds the keys under which a provider's data keys are wrapped.

    What every implementation keeps:

    - `unwrap` gives back exactly what `wrap` was given, under the same context, also from
      another process and after keys were added. It gives nothing else, ever: another context,
      a key of another custody and any changed, shortened or lengthened blob are a
      `SealingError`.
    - A place that does not answer in bounded time, throttles or fails is a
      `CustodyUnavailableError`: worth a retry, and no key until then.
    - Wrong credentials, a missing permission, a disabled or retired key are a
      `CustodyDeniedError`. A place that is not set up as described is a `SettingsError`.
    - No data key, key-encryption key, token or PIN stands in a message, a `repr` or a log.
    """

    def describe(self) -> CustodyDescription:
        """Describe the newest key: the one `wrap` uses. May ask the place; raises as above."""

    def wrap(self, data_key: bytes, context: bytes) -> bytes:
        """Wrap a data key under the newest key.

        Args:
            data_key: 32 bytes.
            context: What the key belongs to (`records.wrap_context`); authenticated.

        Returns:
            At most `MAX_WRAPPED_BYTES` bytes that name the key. Never the same twice.

        Raises:
            SealingError: The data key has another size.
        """

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Return the data key that was wrapped under this context."""


class KeyEncryptionKey(Protocol):
    """One key at one place; raises as `KeyCustody` says. Blobs and key ids are not its business.

    `binding` is a digest of 32 bytes over the context, the kind and the key id. `seal` must
    authenticate it and `open` must refuse any other: as associated data where the place has it,
    else inside the plaintext (`_bound_plaintext`).
    """

    @property
    def reference(self) -> str:
        """The place's own name of the key."""

    @property
    def where(self) -> str:
        """The place, in words."""

    def exportable(self) -> bool:
        """Whether the key could be read out. May ask the place."""

    def seal(self, data_key: bytes, binding: bytes) -> bytes:
        """Encrypt a data key of 32 bytes."""

    def open(self, sealed: bytes, binding: bytes) -> bytes:
        """Decrypt what `seal` made under the same binding. The caller checks the length."""
