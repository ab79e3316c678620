"""A symmetric key in AWS KMS.

The binding is the encryption context, which KMS authenticates and AWS CloudTrail logs: it is a
digest, so the log learns nothing but that two uses are about one data set. The key is named by
its ARN, and an answer made under another key is refused.
"""

from __future__ import annotations

from typing import Any

from manatee.custody._limits import CONNECT_SECONDS, READ_SECONDS, keep_quiet
from manatee.custody._settings import AwsKmsSettings
from manatee.errors import (
    CustodyDeniedError,
    CustodyUnavailableError,
    ManateeError,
    SealingError,
    SettingsError,
)

_CONTEXT_NAME = "manatee-binding"

_DENIED = frozenset(
    {
        "AccessDeniedException",
        "DisabledException",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidGrantTokenException",
        "InvalidSignatureException",
        "KMSInvalidStateException",
        "MissingAuthenticationToken",
        "NotFoundException",
        "UnrecognizedClientException",
    }
)
_NOT_OURS = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})
"""Error codes of the KMS API reference, Decrypt and Encrypt, and its common errors."""


class AwsKmsKey:
    """A `KeyEncryptionKey` in AWS KMS."""

    where = "AWS KMS"

    def __init__(self, settings: AwsKmsSettings) -> None:
        """Make a client; credentials come from the AWS SDK's own chain at the first use.

        Raises:
            SettingsError: boto3 is not installed, or the profile is unknown.
        """
        self._boto = _library()
        self.reference = settings.key_arn
        if not settings.key_arn.startswith("arn:"):
            raise SettingsError("an AWS KMS key is named by its ARN, not by an alias or id.")
        configuration = self._boto.config.Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": 1},
        )
        try:
            session = self._boto.session.Session(
                profile_name=settings.profile, region_name=settings.region
            )
            self._client = session.client(
                "kms", config=configuration, endpoint_url=settings.endpoint
            )
        except (self._boto.BotoCoreError, ValueError) as error:
            raise SettingsError(
                f"no AWS client can be made ({type(error).__name__}).",
                hint="Check region, profile and endpoint of the key in custody.json.",
            ) from error

    def __repr__(self) -> str:
        return f"AwsKmsKey({self.reference})"

    def exportable(self) -> bool:
        """Ask KMS where the key's material came from; imported material has a copy elsewhere."""
        found = self._call("describe_key", KeyId=self.reference).get("KeyMetadata", {})
        if (found.get("KeySpec"), found.get("KeyUsage")) != (
            "SYMMETRIC_DEFAULT",
            "ENCRYPT_DECRYPT",
        ):
            raise SettingsError("the AWS KMS key is not a symmetric one for encryption.")
        return found.get("Origin") not in {"AWS_KMS", "AWS_CLOUDHSM"}

    def seal(self, data_key: bytes, binding: bytes) -> bytes:
        """Encrypt in KMS."""
        answer = self._call(
            "encrypt",
            KeyId=self.reference,
            Plaintext=data_key,
            EncryptionContext={_CONTEXT_NAME: binding.hex()},
        )
        return self._part(answer, "CiphertextBlob")

    def open(self, sealed: bytes, binding: bytes) -> bytes:
        """Decrypt in KMS."""
        answer = self._call(
            "decrypt",
            KeyId=self.reference,
            CiphertextBlob=sealed,
            EncryptionContext={_CONTEXT_NAME: binding.hex()},
        )
        return self._part(answer, "Plaintext")

    def _part(self, answer: dict[str, Any], name: str) -> bytes:
        part = answer.get(name)
        if answer.get("KeyId") != self.reference or not isinstance(part, bytes) or not part:
            raise CustodyUnavailableError("AWS KMS answered for another key, or without a result.")
        return part

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        boto = self._boto
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**arguments)
        except boto.ClientError as error:
            raise _meaning_of(error.response) from error
        except (boto.NoCredentialsError, boto.CredentialRetrievalError) as error:
            raise CustodyDeniedError(
                "no AWS credentials were found.", hint="Set them up as for the AWS CLI."
            ) from error
        except boto.ParamValidationError as error:
            raise SealingError("AWS KMS cannot take this wrapped key.") from error
        except (boto.BotoCoreError, boto.ResponseParserError) as error:
            raise CustodyUnavailableError(
                f"AWS KMS did not answer ({type(error).__name__})."
            ) from error
        return answer


def _meaning_of(response: dict[str, Any]) -> ManateeError:
    code = str(response.get("Error", {}).get("Code", ""))
    if code in _NOT_OURS:
        return SealingError("a data key did not open: wrapped for something else, or damaged.")
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code in _DENIED or (status in {401, 403} and "Throttl" not in code):
        return CustodyDeniedError(
            "AWS KMS refused.",
            hint="Check the key's state, its key policy, and kms:Encrypt and kms:Decrypt.",
        )
    return CustodyUnavailableError("AWS KMS is throttling or failed.")


class _Boto:
    """The parts of boto3 and botocore that are used."""

    def __init__(self) -> None:
        import boto3.session
        import botocore.config
        import botocore.exceptions
        import botocore.parsers

        faults = botocore.exceptions
        self.session = boto3.session
        self.config = botocore.config
        self.ClientError = faults.ClientError
        self.BotoCoreError = faults.BotoCoreError
        self.NoCredentialsError = faults.NoCredentialsError
        self.CredentialRetrievalError = faults.CredentialRetrievalError
        self.ParamValidationError = faults.ParamValidationError
        self.ResponseParserError = botocore.parsers.ResponseParserError


def _library() -> Any:
    try:
        found = _Boto()
    except ImportError as error:
        raise SettingsError(
            "keys in AWS KMS need boto3.", hint="Run `pip install 'manatee[custody-aws]'`."
        ) from error
    keep_quiet("boto3", "botocore", "urllib3")
    return found
