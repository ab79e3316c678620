"""The transit engine of Vault and OpenBao for tests: read, encrypt and decrypt, with real AES.

After the engine's API page: ciphertexts are `vault:v1:` and base64 of nonce and ciphertext; a
wrong tag is a 400; encrypting under a key that is not there makes it.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from manatee.testing._fake_service import Asked, FakeService, Said

_TOKEN = "hvs.fake-vault-token"  # noqa: S105  # opens nothing


class FakeTransit(FakeService):
    """One engine, mounted at `transit`."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.keys = {name: AESGCM.generate_key(256) for name in names}
        self.key_type = "aes256-gcm96"
        self.exportable = False

    def refusal(self, status: int) -> Said:
        """Return an error as Vault does."""
        return Said(status, {"errors": ["no."]})

    def write_token_file(self, path: Path) -> None:
        """Write the token, for its owner alone."""
        path.touch(0o600)
        path.write_text(_TOKEN + "\n")

    def answer(self, asked: Asked) -> Said:
        """Answer as the engine does."""
        if asked.headers.get("x-vault-token") != _TOKEN:
            return self.refusal(403)
        parts = asked.path.removeprefix("/v1/").split("/")
        if len(parts) != 3 or parts[0] != "transit":
            return self.refusal(404)
        verb, name = parts[1:]
        if verb == "encrypt":
            key = AESGCM(self.keys.setdefault(name, AESGCM.generate_key(256)))
            nonce = secrets.token_bytes(12)
            plaintext = base64.b64decode(asked.body["plaintext"])
            sealed = nonce + key.encrypt(nonce, plaintext, _associated(asked))
            text = "vault:v1:" + base64.b64encode(sealed).decode()
            return Said(200, {"data": {"ciphertext": text, "key_version": 1}})
        if name not in self.keys:
            return self.refusal(404)
        if verb == "decrypt":
            return self._decrypt(name, asked)
        described = {"type": self.key_type, "derived": False, "exportable": self.exportable}
        return Said(200, {"data": described | {"name": name, "allow_plaintext_backup": False}})

    def _decrypt(self, name: str, asked: Asked) -> Said:
        try:
            version, _, text = asked.body["ciphertext"].removeprefix("vault:").partition(":")
            sealed = base64.b64decode(text, validate=True)
            if version != "v1" or len(sealed) < 28:
                return self.refusal(400)
            plaintext = AESGCM(self.keys[name]).decrypt(
                sealed[:12], sealed[12:], _associated(asked)
            )
        except (InvalidTag, binascii.Error):
            return self.refusal(400)
        return Said(200, {"data": {"plaintext": base64.b64encode(plaintext).decode()}})


def _associated(asked: Asked) -> bytes:
    return base64.b64decode(asked.body.get("associated_data", ""))
