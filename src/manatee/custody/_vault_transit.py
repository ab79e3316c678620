"""A key in the transit engine of HashiCorp Vault or OpenBao.

The binding is the associated data, so the key must be of a type that takes some: aes256-gcm96 or
chacha20-poly1305. The engine keeps versions of a key by itself; its ciphertexts name theirs.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from pathlib import Path
from typing import Any

from manatee.custody._limits import CONNECT_SECONDS, READ_SECONDS, keep_quiet
from manatee.custody._secret_file import read_secret
from manatee.custody._settings import VaultTransitSettings
from manatee.errors import (
    CustodyDeniedError,
    CustodyUnavailableError,
    SealingError,
    SettingsError,
)

_KEY_TYPES = frozenset({"aes256-gcm96", "chacha20-poly1305"})
_TEXT_PREFIX = "vault:v"


class VaultTransitKey:
    """A `KeyEncryptionKey` in a transit engine."""

    where = "transit engine of Vault or OpenBao"

    def __init__(self, settings: VaultTransitSettings, *, folder: Path) -> None:
        """Take the settings; the token's file is read at every use, since agents renew it.

        Raises:
            SettingsError: hvac is not installed.
        """
        self._hvac = _library()
        self._settings = settings
        self._folder = folder
        self._checked = False
        self.reference = f"{settings.url}/{settings.mount}/{settings.key_name}"

    def __repr__(self) -> str:
        return f"VaultTransitKey({self.reference})"

    def exportable(self) -> bool:
        """Ask the engine whether the key may be exported or backed up."""
        found = self._check_key()
        return bool(found.get("exportable")) or bool(found.get("allow_plaintext_backup"))

    def seal(self, data_key: bytes, binding: bytes) -> bytes:
        """Encrypt in the engine."""
        if not self._checked:
            # a key that is not there would be made by the request itself
            self._check_key()
        data = self._call(
            "encrypt_data",
            plaintext=base64.b64encode(data_key).decode(),
            associated_data=base64.b64encode(binding).decode(),
        )
        ciphertext = data.get("ciphertext")
        if not isinstance(ciphertext, str) or not ciphertext.startswith(_TEXT_PREFIX):
            raise CustodyUnavailableError("Vault answered without a ciphertext.")
        try:
            return ciphertext.encode("ascii")
        except UnicodeEncodeError as error:
            raise CustodyUnavailableError("Vault answered without a ciphertext.") from error

    def open(self, sealed: bytes, binding: bytes) -> bytes:
        """Decrypt in the engine."""
        if not (sealed.isascii() and sealed.startswith(_TEXT_PREFIX.encode())):
            raise SealingError("a wrapped data key is damaged.")
        data = self._call(
            "decrypt_data",
            ciphertext=sealed.decode("ascii"),
            associated_data=base64.b64encode(binding).decode(),
        )
        try:
            return base64.b64decode(data["plaintext"], validate=True)
        except (KeyError, TypeError, ValueError, binascii.Error):
            # without the cause: it may quote the plaintext
            raise CustodyUnavailableError("Vault answered without a plaintext.") from None

    def _check_key(self) -> dict[str, Any]:
        found = self._call("read_key")
        if found.get("type") not in _KEY_TYPES or found.get("derived") is not False:
            raise SettingsError(
                "the transit key takes no associated data, or derives keys.",
                hint="Make one of type aes256-gcm96, not derived.",
            )
        self._checked = True
        return found

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        faults = self._hvac.exceptions
        client = self._client()
        request: Callable[..., Any] = getattr(client.secrets.transit, operation)
        try:
            answer = request(
                name=self._settings.key_name, mount_point=self._settings.mount, **arguments
            )
        except faults.InvalidRequest as error:
            if operation == "decrypt_data":
                raise SealingError(
                    "a data key did not open: wrapped for something else, or damaged."
                ) from error
            raise SettingsError("Vault cannot use that key for wrapping.") from error
        except (faults.Forbidden, faults.Unauthorized, faults.InvalidPath) as error:
            raise CustodyDeniedError(
                "Vault refused.",
                hint="Check the token, the key's name, and that the token's policy lets it read "
                "the key and update encrypt and decrypt.",
            ) from error
        except (faults.VaultError, self._requests.RequestException, ValueError) as error:
            raise CustodyUnavailableError(
                f"Vault did not answer ({type(error).__name__})."
            ) from error
        finally:
            client.adapter.close()
        data = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(data, dict):
            raise CustodyUnavailableError("Vault answered with nonsense.")
        return data

    def _client(self) -> Any:
        settings = self._settings
        ca_file = None if settings.ca_file is None else str(self._folder / settings.ca_file)
        return self._hvac.Client(
            url=settings.url,
            token=read_secret(self._folder / settings.token_file, what="Vault token"),
            namespace=settings.namespace,
            verify=ca_file or True,
            timeout=(CONNECT_SECONDS, READ_SECONDS),
            # a redirect would carry the token to another address
            allow_redirects=False,
        )

    @property
    def _requests(self) -> Any:
        import requests

        return requests


def _library() -> Any:
    try:
        import hvac
        import hvac.exceptions
    except ImportError as error:
        raise SettingsError(
            "keys in Vault or OpenBao need hvac.",
            hint="Run `pip install 'manatee[custody-vault]'`.",
        ) from error
    keep_quiet("hvac", "urllib3")
    return hvac
