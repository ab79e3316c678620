"""An RSA key in Azure Key Vault, with RSA-OAEP and SHA-256.

OAEP takes no associated data here, so the binding stands inside the plaintext
(`_bound_plaintext`). The private half never leaves the vault; the client may wrap by itself with
the public half, which the vault hands out.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from manatee.custody._bound_plaintext import with_binding, without_binding
from manatee.custody._limits import CONNECT_SECONDS, READ_SECONDS, keep_quiet
from manatee.custody._settings import AzureKeyVaultSettings
from manatee.errors import (
    CustodyDeniedError,
    CustodyUnavailableError,
    ManateeError,
    SealingError,
    SettingsError,
)

_KEY_URL = re.compile(r"https://[^/]+/keys/[0-9A-Za-z-]{1,127}/[0-9a-f]{32}\Z")


class AzureKeyVaultKey:
    """A `KeyEncryptionKey` in Azure Key Vault."""

    where = "Azure Key Vault"

    def __init__(self, settings: AzureKeyVaultSettings, *, folder: Path) -> None:
        """Make a client; credentials come from Azure's own chain at the first use.

        Raises:
            SettingsError: The libraries are not installed, or the key is named without version.
        """
        self._azure = _library()
        self.reference = settings.key_url
        if not _KEY_URL.match(settings.key_url):
            raise SettingsError(
                "an Azure key is named https://VAULT/keys/NAME/VERSION, with its version."
            )
        options: dict[str, Any] = {
            "connection_timeout": CONNECT_SECONDS,
            "read_timeout": READ_SECONDS,
            "retry_total": 0,
            # a redirect would carry the data key's wrapping to another address
            "permit_redirects": False,
        }
        if settings.ca_file is not None:
            options["connection_verify"] = str(folder / settings.ca_file)
        chain = self._azure.identity.DefaultAzureCredential(
            exclude_interactive_browser_credential=True
        )
        self._client = self._azure.crypto.CryptographyClient(settings.key_url, chain, **options)
        self._keys = self._azure.keys.KeyClient(
            settings.key_url.split("/keys/")[0], chain, **options
        )

    def __repr__(self) -> str:
        return f"AzureKeyVaultKey({self.reference})"

    def exportable(self) -> bool:
        """Ask the vault whether the key may be released, or is not of RSA."""
        name, version = self.reference.split("/")[-2:]
        found = self._call(lambda: self._keys.get_key(name, version))
        if found.key_type not in {"RSA", "RSA-HSM"}:
            raise SettingsError("the Azure key is not of RSA.")
        return bool(found.properties.exportable)

    def seal(self, data_key: bytes, binding: bytes) -> bytes:
        """Encrypt to the key."""
        plaintext = with_binding(data_key, binding)
        algorithm = self._azure.crypto.KeyWrapAlgorithm.rsa_oaep_256
        return self._result(
            self._call(lambda: self._client.wrap_key(algorithm, plaintext)), "encrypted_key"
        )

    def open(self, sealed: bytes, binding: bytes) -> bytes:
        """Decrypt in the vault."""
        algorithm = self._azure.crypto.KeyWrapAlgorithm.rsa_oaep_256
        answer = self._call(lambda: self._client.unwrap_key(algorithm, sealed))
        return without_binding(self._result(answer, "key"), binding)

    def _result(self, answer: Any, name: str) -> bytes:
        part = getattr(answer, name)
        if not isinstance(part, bytes) or not part:
            raise CustodyUnavailableError("Azure Key Vault answered without a result.")
        return part

    def _call(self, request: Any) -> Any:
        core = self._azure.core
        try:
            return request()
        except core.ClientAuthenticationError as error:
            raise CustodyDeniedError(
                "Azure refused the credentials, or none were found.",
                hint="Set them up as for the Azure CLI, or as a managed identity.",
            ) from error
        except core.HttpResponseError as error:
            raise _meaning_of(error.status_code) from error
        except core.AzureError as error:
            raise CustodyUnavailableError(
                f"Azure Key Vault did not answer ({type(error).__name__})."
            ) from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            # the client does not check answers: bad base64, missing members, or a challenge
            # that names another resource than the vault's own
            raise CustodyUnavailableError("Azure Key Vault answered with nonsense.") from error


def _meaning_of(status: int | None) -> ManateeError:
    if status == 400:
        return SealingError("a data key did not open: wrapped for another key, or damaged.")
    if status in {401, 403, 404, 409}:
        return CustodyDeniedError(
            "Azure Key Vault refused.",
            hint="Check that the key is enabled, and the permissions get, wrapKey and unwrapKey.",
        )
    return CustodyUnavailableError("Azure Key Vault is throttling or failed.")


class _Azure:
    """The parts of Azure's libraries that are used."""

    def __init__(self) -> None:
        import azure.core.exceptions
        import azure.identity
        import azure.keyvault.keys
        import azure.keyvault.keys.crypto

        self.core = azure.core.exceptions
        self.identity = azure.identity
        self.keys = azure.keyvault.keys
        self.crypto = azure.keyvault.keys.crypto


def _library() -> Any:
    try:
        found = _Azure()
    except ImportError as error:
        raise SettingsError(
            "keys in Azure Key Vault need azure-keyvault-keys and azure-identity.",
            hint="Run `pip install 'manatee[custody-azure]'`.",
        ) from error
    keep_quiet("azure", "urllib3", "msal")
    return found
