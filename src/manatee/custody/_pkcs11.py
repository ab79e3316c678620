"""An AES-256 key in a PKCS#11 token: a hardware security module, a smart card, SoftHSM.

AES-GCM with the binding as associated data (PKCS #11 v3.0, section 2.12; CKM_AES_GCM). The key
must be marked sensitive and not extractable, or it is not used. PKCS#11 has no time limits of
its own: a module that hangs, hangs its caller.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from manatee.custody._secret_file import read_secret
from manatee.custody._settings import Pkcs11Settings
from manatee.errors import (
    ConflictError,
    CustodyDeniedError,
    CustodyUnavailableError,
    SealingError,
    SettingsError,
)

_NONCE_BYTES = 12
"""NIST SP 800-38D, section 8.2.2: a random 96-bit nonce."""

_TAG_BITS = 128

_LOCK = threading.Lock()
"""A login belongs to the whole process and token, so only one session is open at a time."""


class Pkcs11Key:
    """A `KeyEncryptionKey` in a token; each use is a session of its own."""

    def __init__(self, settings: Pkcs11Settings, *, pin_file: Path) -> None:
        """Take the settings; the token and its PIN are first needed when the key is used.

        Raises:
            SettingsError: python-pkcs11 is not installed.
        """
        self._pkcs11 = _library()
        self._settings = settings
        self._pin_file = pin_file
        self._pin_refused = False
        self.reference = settings.key_label
        self.where = f"PKCS#11 token {settings.token!r}"

    def __repr__(self) -> str:
        return f"Pkcs11Key({self.reference!r} in {self._settings.token!r})"

    def exportable(self) -> bool:
        """Look at the key's attributes; one that could leave the token is refused instead."""
        with self._key():
            return False

    def seal(self, data_key: bytes, binding: bytes) -> bytes:
        """Encrypt under AES-256-GCM: nonce, ciphertext, tag."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        with self._key() as key:
            return nonce + bytes(key.encrypt(data_key, **self._gcm(nonce, binding)))

    def open(self, sealed: bytes, binding: bytes) -> bytes:
        """Decrypt what `seal` made."""
        nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        if len(ciphertext) <= _TAG_BITS // 8:
            raise SealingError("a wrapped data key is cut off.")
        faults = self._pkcs11.exceptions
        with self._key() as key:
            try:
                return bytes(key.decrypt(ciphertext, **self._gcm(nonce, binding)))
            except (
                # which one a wrong tag gives is up to the module: SoftHSM says GeneralError
                faults.GeneralError,
                faults.FunctionFailed,
                faults.EncryptedDataInvalid,
                faults.EncryptedDataLenRange,
                faults.DataInvalid,
                faults.DataLenRange,
            ) as error:
                raise SealingError(
                    "a data key did not open: it was wrapped for something else, or damaged."
                ) from error

    def generate(self) -> None:
        """Make the key in the token: AES-256, sensitive, never extractable.

        Effects: writes to the token, once.

        Raises:
            ConflictError: The token holds a key of that label.
        """
        p = self._pkcs11
        with self._session(writable=True) as session:
            if list(session.get_objects({p.Attribute.LABEL: self.reference})):
                raise ConflictError(f"the token holds a key {self.reference!r} already.")
            session.generate_key(
                p.KeyType.AES,
                256,
                label=self.reference,
                store=True,
                capabilities=p.MechanismFlag.ENCRYPT | p.MechanismFlag.DECRYPT,
                template={p.Attribute.SENSITIVE: True, p.Attribute.EXTRACTABLE: False},
            )

    def _gcm(self, nonce: bytes, binding: bytes) -> dict[str, Any]:
        p = self._pkcs11
        return {
            "mechanism": p.Mechanism.AES_GCM,
            "mechanism_param": p.GCMParams(nonce, binding, _TAG_BITS),
        }

    @contextmanager
    def _key(self) -> Iterator[Any]:
        p = self._pkcs11
        with self._session() as session:
            # a list, since a search that is left half-way outlives its session
            wanted = {
                p.Attribute.CLASS: p.ObjectClass.SECRET_KEY,
                p.Attribute.LABEL: self.reference,
            }
            found = list(session.get_objects(wanted))
            if len(found) != 1:
                raise SettingsError(
                    f"the token holds {len(found)} keys called {self.reference!r}, not one.",
                    hint="Make one with `manatee custody init FOLDER --key FILE --generate`.",
                )
            (key,) = found
            if key[p.Attribute.KEY_TYPE] != p.KeyType.AES or key[p.Attribute.VALUE_LEN] != 32:
                raise SettingsError(f"the key {self.reference!r} is not an AES-256 key.")
            if not key[p.Attribute.SENSITIVE] or key[p.Attribute.EXTRACTABLE]:
                raise SettingsError(
                    f"the key {self.reference!r} could be read out of the token.",
                    hint="Make one that is sensitive and not extractable, and rotate to it.",
                )
            yield key

    @contextmanager
    def _session(self, *, writable: bool = False) -> Iterator[Any]:
        p, faults = self._pkcs11, self._pkcs11.exceptions
        if self._pin_refused:
            # every further try would bring the token nearer to locking itself
            raise CustodyDeniedError("the token refused this PIN before; it is not tried again.")
        pin = read_secret(self._pin_file, what="token's PIN")
        with _LOCK:
            try:
                token = p.lib(self._settings.module).get_token(token_label=self._settings.token)
                with token.open(rw=writable, user_pin=pin) as session:
                    yield session
            except (faults.PinIncorrect, faults.PinInvalid, faults.PinLenRange) as error:
                self._pin_refused = True
                raise CustodyDeniedError(
                    "the token refused its PIN.", hint="Correct the PIN's file and start again."
                ) from error
            except (faults.PinLocked, faults.PinExpired, faults.UserPinNotInitialized) as error:
                self._pin_refused = True
                raise CustodyDeniedError("the token's PIN is locked, expired or unset.") from error
            except (faults.KeyUnextractable, faults.FunctionRejected) as error:
                raise CustodyDeniedError("the token refused to use its key.") from error
            except faults.MultipleTokensReturned as error:
                raise SettingsError("several tokens carry that label.") from error
            except (faults.MechanismInvalid, faults.MechanismParamInvalid) as error:
                raise SettingsError("the token does not know AES-GCM.") from error
            except p.PKCS11Error as error:
                # a module that is missing, a token that is away, a device that failed
                raise CustodyUnavailableError(
                    f"the PKCS#11 token failed ({type(error).__name__}).",
                    hint="Check the module's path and that the token is present.",
                ) from error


def _library() -> Any:
    try:
        import pkcs11
        import pkcs11.exceptions
    except ImportError as error:
        raise SettingsError(
            "keys in a PKCS#11 token need python-pkcs11.",
            hint="Run `pip install 'manatee[custody-pkcs11]'`.",
        ) from error
    return pkcs11
