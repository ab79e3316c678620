"""AWS KMS for tests of failures: three operations of its JSON protocol, with real AES-GCM.

Where it can be had, moto is the better stand-in; this one fails on demand, with KMS's own codes.
"""

from __future__ import annotations

import base64
import json
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from manatee.testing._fake_service import Asked, FakeService, Said

_CODES = {403: "AccessDeniedException", 429: "ThrottlingException", 500: "KMSInternalException"}


class FakeAwsKms(FakeService):
    """One symmetric key, whatever ARN it is asked for by."""

    def __init__(self) -> None:
        super().__init__()
        self.key = AESGCM.generate_key(256)
        self.code: str | None = None
        """Error code of every answer."""
        self.answers_for: str | None = None
        """ARN that answers claim, if another than the one asked for."""
        self.origin = "AWS_KMS"

    def refusal(self, status: int) -> Said:
        """Return an error as KMS does."""
        return _error(_CODES[status], 400 if status == 403 else status)

    def answer(self, asked: Asked) -> Said:
        """Answer as KMS does."""
        if self.code is not None:
            return _error(self.code, 400)
        body = asked.body
        arn = self.answers_for or body["KeyId"]
        operation = asked.headers["x-amz-target"].removeprefix("TrentService.")
        if operation == "DescribeKey":
            described = {"Arn": arn, "KeyId": arn, "Origin": self.origin}
            use = {"KeySpec": "SYMMETRIC_DEFAULT", "KeyUsage": "ENCRYPT_DECRYPT"}
            return Said(200, {"KeyMetadata": described | use})
        context = json.dumps(body.get("EncryptionContext", {}), sort_keys=True).encode()
        if operation == "Encrypt":
            nonce = secrets.token_bytes(12)
            plaintext = base64.b64decode(body["Plaintext"])
            sealed = nonce + AESGCM(self.key).encrypt(nonce, plaintext, context)
            return Said(200, {"KeyId": arn, "CiphertextBlob": base64.b64encode(sealed).decode()})
        sealed = base64.b64decode(body["CiphertextBlob"])
        try:
            plaintext = AESGCM(self.key).decrypt(sealed[:12], sealed[12:], context)
        except (InvalidTag, ValueError):
            return _error("InvalidCiphertextException", 400)
        return Said(200, {"KeyId": arn, "Plaintext": base64.b64encode(plaintext).decode()})


def _error(code: str, status: int) -> Said:
    return Said(status, {"__type": code, "message": "no."})
