"""Several key-encryption keys by id: the newest wraps, any that is not retired unwraps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from manatee.custody._blob import WrappedBlob, binding_of, pack_blob, parse_blob
from manatee.custody._interface import CustodyDescription, KeyEncryptionKey
from manatee.custody._limits import patiently
from manatee.errors import CustodyDeniedError, SealingError, SettingsError
from manatee.records import DATA_KEY_BYTES


@dataclass(frozen=True)
class HeldKey:
    """A key of the ring."""

    key_id: str
    kind: str
    key: KeyEncryptionKey
    retired: bool = False

    def __repr__(self) -> str:
        return f"HeldKey(key_id={self.key_id!r}, kind={self.kind!r}, retired={self.retired})"


class KeyRing:
    """A `KeyCustody` over one or more keys, of one kind or several, oldest first.

    Since the kinds may differ, rotation is also how a provider moves from one place to another:
    from a file to an HSM, or from one cloud to the next.
    """

    def __init__(
        self, keys: Iterable[HeldKey], *, pause: Callable[[float], None] = time.sleep
    ) -> None:
        """Take the keys, oldest first.

        Args:
            keys: At least one, no id twice.
            pause: Waits so many seconds before a request is repeated.

        Raises:
            SettingsError: No key, or an id twice.
        """
        self._pause = pause
        self._keys: dict[str, HeldKey] = {}
        for held in keys:
            if held.key_id in self._keys:
                raise SettingsError(f"two keys of this custody are called {held.key_id!r}.")
            self._keys[held.key_id] = held
        if not self._keys:
            raise SettingsError("this custody holds no key.", hint="Run `manatee custody init`.")

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self._keys)})"

    def describe(self) -> CustodyDescription:
        """Describe the newest key: the one `wrap` uses."""
        return self._described(self._newest())

    def describe_all(self) -> tuple[CustodyDescription, ...]:
        """Describe every key, oldest first."""
        return tuple(self._described(held) for held in self._keys.values())

    def wrap(self, data_key: bytes, context: bytes) -> bytes:
        """Wrap a data key under the newest key, as `KeyCustody` says."""
        if len(data_key) != DATA_KEY_BYTES:
            raise SealingError(f"a data key must be {DATA_KEY_BYTES} bytes.")
        held = self._newest()
        self._check_in_use(held)
        binding = binding_of(held.kind, held.key_id, context)
        sealed = patiently(lambda: held.key.seal(data_key, binding), self._pause)
        return pack_blob(WrappedBlob(held.kind, held.key_id, sealed))

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Return the data key that was wrapped under this context, as `KeyCustody` says."""
        blob = parse_blob(wrapped)
        held = self._keys.get(blob.key_id)
        if held is None or held.kind != blob.kind:
            raise SealingError("the data key is wrapped under a key this custody does not hold.")
        self._check_in_use(held)
        binding = binding_of(blob.kind, blob.key_id, context)
        data_key = patiently(lambda: held.key.open(blob.sealed, binding), self._pause)
        if len(data_key) != DATA_KEY_BYTES:
            raise SealingError("a wrapped key opened to something that is no data key.")
        return data_key

    def rewrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Move a wrapped data key under the newest key; one that is there is given back as it is.

        The data key passes through this process; it is neither shown nor written. Raises as
        `unwrap` and `wrap`.
        """
        data_key = self.unwrap(wrapped, context)
        if parse_blob(wrapped).key_id == self._newest().key_id:
            return wrapped
        return self.wrap(data_key, context)

    def _newest(self) -> HeldKey:
        return next(reversed(self._keys.values()))

    @staticmethod
    def _check_in_use(held: HeldKey) -> None:
        if held.retired:
            raise CustodyDeniedError(
                f"the key-encryption key {held.key_id!r} is retired.",
                hint="Take it back into use, run `manatee custody rewrap`, then retire it again.",
            )

    def _described(self, held: HeldKey) -> CustodyDescription:
        return CustodyDescription(
            key_id=held.key_id,
            kind=held.kind,
            key=held.key.reference,
            where=held.key.where,
            exportable=patiently(held.key.exportable, self._pause),
            retired=held.retired,
        )
