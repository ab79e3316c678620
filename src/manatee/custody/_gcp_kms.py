"""A symmetric key in Google Cloud KMS, over its REST interface.

The binding is the additional authenticated data. Request and answer carry CRC-32C checksums, and
both sides check them, as Google's page "Data integrity guidelines" asks.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from manatee.custody._crc32c import crc32c
from manatee.custody._limits import READ_SECONDS, keep_quiet
from manatee.custody._secret_file import read_secret
from manatee.custody._settings import GcpKmsSettings
from manatee.errors import (
    CustodyDeniedError,
    CustodyUnavailableError,
    ManateeError,
    SealingError,
    SettingsError,
)

_SCOPE = "https://www.googleapis.com/auth/cloudkms"
_HINT = "Check the key's state and the role cloudkms.cryptoKeyEncrypterDecrypter."


class GcpKmsKey:
    """A `KeyEncryptionKey` in Google Cloud KMS."""

    where = "Google Cloud KMS"

    def __init__(self, settings: GcpKmsSettings, *, folder: Path) -> None:
        """Take the settings; the client is made at the first use, since it needs credentials.

        Raises:
            SettingsError: google-cloud-kms is not installed.
        """
        self._google = _library()
        self._settings = settings
        self._folder = folder
        self._client: Any = None
        self.reference = settings.key_name

    def __repr__(self) -> str:
        return f"GcpKmsKey({self.reference})"

    def exportable(self) -> bool:
        """Ask KMS where the key's material came from; imported material has a copy elsewhere."""
        kms = self._google.kms
        found = self._call(lambda c: c.get_crypto_key, {"name": self.reference})
        if found.purpose != kms.CryptoKey.CryptoKeyPurpose.ENCRYPT_DECRYPT:
            raise SettingsError("the Google Cloud KMS key is not a symmetric one for encryption.")
        levels = {kms.ProtectionLevel.SOFTWARE, kms.ProtectionLevel.HSM}
        return bool(found.primary.import_job) or found.primary.protection_level not in levels

    def seal(self, data_key: bytes, binding: bytes) -> bytes:
        """Encrypt in KMS."""
        answer = self._call(
            lambda client: client.encrypt,
            {
                "name": self.reference,
                "plaintext": data_key,
                "plaintext_crc32c": crc32c(data_key),
                "additional_authenticated_data": binding,
                "additional_authenticated_data_crc32c": crc32c(binding),
            },
        )
        if not (
            answer.name.startswith(f"{self.reference}/cryptoKeyVersions/")
            and answer.verified_plaintext_crc32c
            and answer.verified_additional_authenticated_data_crc32c
        ):
            raise CustodyUnavailableError("Google Cloud KMS answered for something else.")
        return self._intact(answer.ciphertext, answer.ciphertext_crc32c)

    def open(self, sealed: bytes, binding: bytes) -> bytes:
        """Decrypt in KMS."""
        answer = self._call(
            lambda client: client.decrypt,
            {
                "name": self.reference,
                "ciphertext": sealed,
                "ciphertext_crc32c": crc32c(sealed),
                "additional_authenticated_data": binding,
                "additional_authenticated_data_crc32c": crc32c(binding),
            },
        )
        return self._intact(answer.plaintext, answer.plaintext_crc32c)

    @staticmethod
    def _intact(data: bytes, checksum: int | None) -> bytes:
        if checksum is None or crc32c(data) != checksum:
            raise CustodyUnavailableError("an answer of Google Cloud KMS was damaged on the way.")
        return data

    def _call(self, method: Callable[[Any], Callable[..., Any]], request: dict[str, Any]) -> Any:
        google = self._google
        api = google.api
        try:
            if self._client is None:
                self._client = self._connect()
            return method(self._client)(request=request, timeout=READ_SECONDS, retry=None)
        except api.BadRequest as error:
            raise _meaning_of_400(error) from error
        except (api.Forbidden, api.Unauthorized, api.NotFound) as error:
            raise CustodyDeniedError("Google Cloud KMS refused.", hint=_HINT) from error
        except google.auth.TransportError as error:
            raise CustodyUnavailableError("Google's sign-in did not answer.") from error
        except google.auth.GoogleAuthError as error:
            if error.retryable:
                raise CustodyUnavailableError("Google's sign-in failed for now.") from error
            raise CustodyDeniedError(
                "Google refused the credentials, or none were found.",
                hint="Name a key file in custody.json, or set up Google's default credentials.",
            ) from error
        except (api.GoogleAPIError, google.RequestException, google.ParseError) as error:
            raise CustodyUnavailableError(
                f"Google Cloud KMS did not answer ({type(error).__name__})."
            ) from error
        except ValueError as error:
            # an answer with status 200 that is no JSON
            raise CustodyUnavailableError("Google Cloud KMS answered with nonsense.") from error

    def _connect(self) -> Any:
        google, settings = self._google, self._settings
        credentials = None
        if settings.credentials_file is not None:
            path = self._folder / settings.credentials_file
            text = read_secret(path, what="Google key file")
            try:
                credentials = google.service_account.Credentials.from_service_account_info(
                    json.loads(text), scopes=[_SCOPE]
                )
            except (ValueError, KeyError, TypeError):
                # without the cause: it may quote the file
                raise SettingsError(f"{path} is no key file of a service account.") from None
        options = {} if settings.endpoint is None else {"api_endpoint": settings.endpoint}
        return google.kms.KeyManagementServiceClient(
            credentials=credentials, client_options=options, transport="rest"
        )


def _meaning_of_400(error: Any) -> ManateeError:
    """Tell a blob that does not open from a key that is disabled: over REST, both are a 400."""
    try:
        status = error.response.json()["error"]["status"]
    except (AttributeError, KeyError, TypeError, ValueError):
        status = ""
    if status == "INVALID_ARGUMENT":
        return SealingError("a data key did not open: wrapped for something else, or damaged.")
    if status == "FAILED_PRECONDITION":
        return CustodyDeniedError("Google Cloud KMS refused: the key is disabled.", hint=_HINT)
    return CustodyUnavailableError("Google Cloud KMS did not understand the request.")


class _Google:
    """The parts of Google's libraries that are used."""

    def __init__(self) -> None:
        import google.api_core.exceptions
        import google.auth.exceptions
        import google.oauth2.service_account
        import google.protobuf.json_format
        import requests
        from google.cloud import kms_v1

        self.kms = kms_v1
        self.api = google.api_core.exceptions
        self.auth = google.auth.exceptions
        self.service_account = google.oauth2.service_account
        self.RequestException = requests.RequestException
        self.ParseError = google.protobuf.json_format.ParseError


def _library() -> Any:
    try:
        found = _Google()
    except ImportError as error:
        raise SettingsError(
            "keys in Google Cloud KMS need google-cloud-kms.",
            hint="Run `pip install 'manatee[custody-gcp]'`.",
        ) from error
    keep_quiet("google", "urllib3")
    return found
