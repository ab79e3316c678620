"""Azure Key Vault for tests: get, wrapkey and unwrapkey over TLS, with real RSA-OAEP.

After the REST reference (Key Vault keys, 7.x) and the page "Authentication, requests and
responses": a request without token is answered 401 with a challenge naming the authority and the
resource, and repeated by the client with a token for that resource.
"""

from __future__ import annotations

import base64
import ssl
from datetime import timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from manatee._clock import system_clock
from manatee.testing._fake_service import Asked, FakeService, Said

_TOKEN = "fake-azure-token"  # noqa: S105  # opens nothing
_OAEP_256 = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
VERSION = "0123456789abcdef0123456789abcdef"


class FakeCredential:
    """An Azure token credential; remembers for what tokens were asked."""

    def __init__(self) -> None:
        self.scopes: list[str] = []
        self.token = _TOKEN

    def get_token(self, *scopes: str, **_options: Any) -> Any:
        """Return a token."""
        from azure.core.credentials import AccessToken

        self.scopes.extend(scopes)
        return AccessToken(self.token, int(system_clock().timestamp()) + 3600)


class FakeKeyVault(FakeService):
    """One vault."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.keys = {name: rsa.generate_private_key(65537, 2048) for name in names}
        self.exportable = False
        self.may_get = True
        """Without, clients cannot have the public half, and wrap in the vault."""

    def key_url(self, name: str) -> str:
        """Return a key's address, with its version."""
        return f"{self.url}/keys/{name}/{VERSION}"

    def refusal(self, status: int) -> Said:
        """Return an error as Key Vault does."""
        return Said(status, {"error": {"code": "Refused", "message": "no."}})

    def answer(self, asked: Asked) -> Said:
        """Answer as Key Vault does."""
        if asked.headers.get("authorization") != f"Bearer {_TOKEN}":
            port = self.url.rpartition(":")[2]
            challenge = (
                'Bearer authorization="https://login.microsoftonline.com/'
                f'00000000-0000-0000-0000-000000000000", resource="https://0.0.1:{port}"'
            )
            return Said(401, {"error": {"code": "Unauthorized"}}, {"WWW-Authenticate": challenge})
        parts = asked.path.split("?")[0].strip("/").split("/")
        if parts[0] != "keys" or parts[1] not in self.keys or parts[2] != VERSION:
            return self.refusal(404)
        key, kid = self.keys[parts[1]], self.key_url(parts[1])
        if len(parts) == 3:
            return self._described(key, kid) if self.may_get else self.refusal(403)
        if asked.body.get("alg") != "RSA-OAEP-256":
            return self.refusal(400)
        value = _unbase64url(asked.body["value"])
        if parts[3] == "wrapkey":
            return Said(
                200, {"kid": kid, "value": _base64url(key.public_key().encrypt(value, _OAEP_256))}
            )
        try:
            return Said(200, {"kid": kid, "value": _base64url(key.decrypt(value, _OAEP_256))})
        except ValueError:
            return self.refusal(400)

    def _described(self, key: rsa.RSAPrivateKey, kid: str) -> Said:
        numbers = key.public_key().public_numbers()
        public = {
            "kid": kid,
            "kty": "RSA",
            "key_ops": ["wrapKey", "unwrapKey"],
            "n": _base64url(numbers.n.to_bytes(256, "big")),
            "e": "AQAB",
        }
        attributes = {"enabled": True, "exportable": self.exportable}
        return Said(200, {"key": public, "attributes": attributes})


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unbase64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def loopback_tls(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Return a server's TLS for 127.0.0.1, and the certificate file clients trust it by."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = system_clock()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(private, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    trusted, secret = folder / "loopback.pem", folder / "loopback.key"
    trusted.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trusted, secret)
    return context, trusted
