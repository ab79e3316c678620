"""Google Cloud KMS for tests: REST `encrypt`, `decrypt` and `get`, with real AES.

After Google's API reference (cloudkms.googleapis.com, v1, cryptoKeys) and its page "Data integrity
guidelines": the server checks the client's CRC-32C, says so, and sends its own.
"""

from __future__ import annotations

import base64
import json
import secrets
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from manatee.testing._fake_service import Asked, FakeService, Said

_REASONS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
}


def _crc32c(data: bytes) -> int:
    # bit by bit, on purpose another way than the client's table
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (0x82F63B78 & -(state & 1))
    return state ^ 0xFFFFFFFF


class FakeGcpKms(FakeService):
    """One project's keys, by resource name."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.keys = {name: AESGCM.generate_key(256) for name in names}
        self.account = rsa.generate_private_key(65537, 2048)
        self.imported = False
        self.disabled = False
        self.damage: str | None = None
        """Member of the next answers to falsify."""

    def refusal(self, status: int) -> Said:
        """Return an error as Google's APIs do."""
        return Said(
            status, {"error": {"code": status, "status": _REASONS[status], "message": "no."}}
        )

    def answer(self, asked: Asked) -> Said:
        """Answer as Google Cloud KMS does."""
        if not self._signed_in(asked.headers.get("authorization", "")):
            return self.refusal(401)
        path, _, verb = asked.path.split("?")[0].removeprefix("/v1/").partition(":")
        if path not in self.keys:
            return self.refusal(404)
        if self.disabled:
            error = {"code": 400, "status": "FAILED_PRECONDITION", "message": "disabled."}
            return Said(400, {"error": error})
        said: Said = getattr(self, f"_{verb or 'get'}")(path, asked.body)
        if self.damage is not None and said.status == 200:
            said.body[self.damage] = _falsified(said.body[self.damage])
        return said

    def _signed_in(self, authorization: str) -> bool:
        """Check the token that a service account signs for itself (Google's AIP-4111)."""
        signed, _, signature = authorization.removeprefix("Bearer ").rpartition(".")
        try:
            self.account.public_key().verify(
                base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4)),
                signed.encode(),
                padding.PKCS1v15(),
                hashes.SHA256(),
            )
        except InvalidSignature:
            return False
        return True

    def write_key_file(self, path: Path) -> None:
        """Write the service account's key file, for its owner alone."""
        text = self.account.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()
        path.touch(0o600)
        path.write_text(
            json.dumps(
                {
                    "type": "service_account",
                    "client_email": "broker@project.example",
                    "private_key_id": "1",
                    "private_key": text,
                    "token_uri": f"{self.url}/token",
                }
            )
        )

    def _get(self, name: str, _body: dict[str, Any]) -> Said:
        primary = {"name": f"{name}/cryptoKeyVersions/1", "protectionLevel": "SOFTWARE"}
        if self.imported:
            primary["importJob"] = "projects/p/locations/l/keyRings/r/importJobs/j"
        return Said(200, {"name": name, "purpose": "ENCRYPT_DECRYPT", "primary": primary})

    def _encrypt(self, name: str, body: dict[str, Any]) -> Said:
        plaintext, associated = _checked(body, "plaintext"), _associated(body)
        if plaintext is None or associated is None:
            return self.refusal(400)
        nonce = secrets.token_bytes(12)
        ciphertext = nonce + AESGCM(self.keys[name]).encrypt(nonce, plaintext, associated)
        return Said(
            200,
            {
                "name": f"{name}/cryptoKeyVersions/1",
                "ciphertext": base64.b64encode(ciphertext).decode(),
                "ciphertextCrc32c": str(_crc32c(ciphertext)),
                "verifiedPlaintextCrc32c": True,
                "verifiedAdditionalAuthenticatedDataCrc32c": True,
                "protectionLevel": "SOFTWARE",
            },
        )

    def _decrypt(self, name: str, body: dict[str, Any]) -> Said:
        ciphertext, associated = _checked(body, "ciphertext"), _associated(body)
        if ciphertext is None or associated is None or len(ciphertext) < 28:
            return self.refusal(400)
        try:
            plaintext = AESGCM(self.keys[name]).decrypt(
                ciphertext[:12], ciphertext[12:], associated
            )
        except InvalidTag:
            return self.refusal(400)
        return Said(
            200,
            {
                "plaintext": base64.b64encode(plaintext).decode(),
                "plaintextCrc32c": str(_crc32c(plaintext)),
                "usedPrimary": True,
            },
        )


def _checked(body: dict[str, Any], name: str) -> bytes | None:
    data = base64.b64decode(body.get(name, ""))
    return data if int(body.get(f"{name}Crc32c", -1)) == _crc32c(data) else None


def _associated(body: dict[str, Any]) -> bytes | None:
    return _checked(body, "additionalAuthenticatedData")


def _falsified(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if value.isdigit():
        return str(int(value) ^ 1)
    return base64.b64encode(bytes(8)).decode() if "/" not in value else "projects/other"
