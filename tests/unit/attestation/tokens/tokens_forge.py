"""Tokens of our own: a Confidential Space, an Azure and an NVIDIA service, each changeable."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from manatee.attestation import (
    AttestationResult,
    Endorsements,
    ExpectedBinding,
    GuestImage,
    Mark,
    ReferenceValues,
    appraise,
)
from manatee.attestation._tokens.reference import (
    ConfidentialSpaceReference,
    MaaReference,
    NrasReference,
)
from manatee.records import Evidence, digest_bytes, to_base64

VECTORS = Path(__file__).parents[3] / "vectors"
RUNTIME = digest_bytes(b"runtime")
GCP_TYPE = "application/vnd.manatee.gcp-confidential-space+jwt"
MAA_TYPE = "application/vnd.manatee.azure-maa+jwt"
NRAS_TYPE = "application/vnd.manatee.nvidia-nras+json"
GOOGLE = "https://confidentialcomputing.googleapis.com"
AZURE = "https://sharedeus2.eus2.attest.azure.net"
NVIDIA = "https://nras.attestation.nvidia.com"
AT = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
NOW = int(AT.timestamp())


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def vector(path: str) -> bytes:
    return (VECTORS / path).read_bytes().strip()


def failed(result: AttestationResult) -> list[str]:
    return [item.name for item in result.checks if item.mark is Mark.FAILED]


def look(
    media_type: str,
    token: bytes,
    given: ReferenceValues,
    *,
    at: datetime = AT,
    binding: bytes,
    documents: dict[str, bytes] | None = None,
    max_age_seconds: int | None = 3600,
) -> AttestationResult:
    return appraise(
        Evidence(media_type=media_type, payload=to_base64(token)),
        at=at,
        expected_binding=ExpectedBinding.exactly(binding),
        reference_values=given,
        max_age_seconds=max_age_seconds,
        endorsements=Endorsements(documents=documents or {}),
    )


def references(kind: str, measured: dict[str, str], **members: Any) -> ReferenceValues:
    image = GuestImage(kind=kind, measurements=measured, runtime_digest=RUNTIME)
    plain: dict[str, Any] = {"runtime_digests": (RUNTIME,), "roots": {}, "images": (image,)}
    return ReferenceValues(**(plain | members))


TDX_DIGEST = "sha256:e2e5e3672f416ac9ca71aa639abf86db0b713729a48c125a925af6c808b20b5d"
TDX_NONCE = b"75a91c8dbe289f190d5e70ab1cb70c93cc14d7243f0ef3ff5326a622ead220a6"
TDX_AT = datetime(2025, 9, 5, 8, 30, tzinfo=UTC)
TDX_GIVEN = references(
    "gcp-confidential-space",
    {"image-digest": TDX_DIGEST},
    confidential_space=ConfidentialSpaceReference(audience="z08381475938604996746"),
)


def google(name: str = "pki-tdx-production", **kwargs: Any) -> AttestationResult:
    plain: dict[str, Any] = {"at": TDX_AT, "binding": TDX_NONCE}
    return look(
        GCP_TYPE, vector(f"gcp-confidential-space/{name}.jwt"), TDX_GIVEN, **(plain | kwargs)
    )


MAA_DOCUMENT = {f"jwks/{AZURE}": (VECTORS / "azure-maa/maa-jwks.json").read_bytes()}
MAA_GIVEN = references(
    "azure-maa",
    {
        "measurement": "6a063be9dd79f6371c842e480f8dc3b5c725961344e57130e88c5adf49e8f7f6"
        "c79b75a5eb77fc769959f4aeb2f9401e"
    },
    maa=MaaReference(
        issuers=(AZURE,),
        minimum_svn={"bootloader": 4, "tee": 0, "snp": 24, "microcode": 219},
    ),
)


def certificate(
    subject: str,
    issuer: str,
    key: Any,
    signer: Any,
    *,
    ca: bool,
    life: timedelta,
    begins: datetime = AT - timedelta(days=1),
) -> x509.Certificate:
    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    return (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(9)
        .not_valid_before(begins)
        .not_valid_after(AT + life)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(signer, hashes.SHA256())
    )


KEYS = [rsa.generate_private_key(65537, 2048) for _ in range(3)]
YEAR = timedelta(days=365)
ROOT = certificate("root", "root", KEYS[0], KEYS[0], ca=True, life=YEAR)
MIDDLE = certificate("middle", "root", KEYS[1], KEYS[0], ca=True, life=YEAR)
LEAF = certificate("leaf", "middle", KEYS[2], KEYS[1], ca=False, life=YEAR)
NONCE = "n" * 43
DIGEST = "sha256:" + "ab" * 32


def encoded(item: x509.Certificate) -> str:
    return base64.b64encode(item.public_bytes(serialization.Encoding.DER)).decode()


def jwk() -> dict[str, str]:
    numbers = KEYS[2].public_key().public_numbers()
    return {
        "kty": "RSA",
        "kid": "k1",
        "n": b64(numbers.n.to_bytes(256, "big")),
        "e": b64(numbers.e.to_bytes(3, "big")),
    }


def signed(header: Any, claims: Any, sign: Callable[[bytes], bytes] | None = None) -> bytes:
    parts = [
        b64(item if isinstance(item, bytes) else json.dumps(item).encode())
        for item in (header, claims)
    ]
    message = ".".join(parts).encode()
    if sign is None:
        signature = KEYS[2].sign(message, padding.PKCS1v15(), hashes.SHA256())
    else:
        signature = sign(message)
    return message + b"." + b64(signature).encode()


class Space:
    """A token of our own; header, claims and conditions can be set."""

    def __init__(self) -> None:
        self.header: dict[str, Any] = {
            "alg": "RS256",
            "kid": "k1",
            "typ": "JWT",
            "x5c": [encoded(LEAF), encoded(MIDDLE), encoded(ROOT)],
        }
        self.claims: dict[str, Any] = {
            "iss": GOOGLE,
            "aud": "https://broker.example",
            "iat": NOW - 5,
            "nbf": NOW - 5,
            "exp": NOW + 3595,
            "eat_nonce": NONCE,
            "secboot": True,
            "hwmodel": "GCP_INTEL_TDX",
            "swname": "CONFIDENTIAL_SPACE",
            "dbgstat": "disabled-since-boot",
            "google_service_accounts": ["a@example"],
            "submods": {
                "confidential_space": {"support_attributes": ["LATEST", "STABLE", "USABLE"]},
                "container": {"image_digest": DIGEST},
            },
        }
        self.conditions = ConfidentialSpaceReference(audience="https://broker.example")
        self.documents: dict[str, bytes] = {}
        self.root = ROOT

    def look(self, token: bytes | None = None, **kwargs: Any) -> AttestationResult:
        given = references(
            "gcp-confidential-space",
            {"image-digest": DIGEST},
            confidential_space=self.conditions,
            roots={
                "gcp-confidential-space": (
                    to_base64(self.root.public_bytes(serialization.Encoding.DER)),
                )
            },
        )
        return look(
            GCP_TYPE,
            token or signed(self.header, self.claims),
            given,
            documents=self.documents,
            **({"binding": NONCE.encode()} | kwargs),
        )


def hs256(message: bytes) -> bytes:
    public = (
        KEYS[2]
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return hmac.new(public, message, hashlib.sha256).digest()


def ps256(message: bytes) -> bytes:
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    return KEYS[2].sign(message, pss, hashes.SHA256())


class Azure:
    """An Azure token of our own."""

    def __init__(self) -> None:
        self.header: dict[str, Any] = {"alg": "RS256", "kid": "k1", "jku": f"{AZURE}/certs"}
        self.tee: dict[str, Any] = {
            "x-ms-attestation-type": "sevsnpvm",
            "x-ms-compliance-status": "azure-compliant-cvm",
            "x-ms-sevsnpvm-bootloader-svn": 4,
            "x-ms-sevsnpvm-tee-svn": 0,
            "x-ms-sevsnpvm-snpfw-svn": 24,
            "x-ms-sevsnpvm-microcode-svn": 219,
            "x-ms-sevsnpvm-is-debuggable": False,
            "x-ms-sevsnpvm-migration-allowed": False,
            "x-ms-sevsnpvm-vmpl": 0,
            "x-ms-sevsnpvm-launchmeasurement": "ab" * 48,
            "x-ms-runtime": {"vm-configuration": {"secure-boot": True}},
        }
        self.claims: dict[str, Any] = {
            "iss": AZURE,
            "iat": NOW,
            "nbf": NOW,
            "exp": NOW + 8 * 3600,
            "x-ms-attestation-type": "azurevm",
            "secureboot": True,
            "x-ms-azurevm-debuggersdisabled": True,
            "x-ms-azurevm-bootdebug-enabled": False,
            "x-ms-azurevm-kerneldebug-enabled": False,
            "x-ms-azurevm-hypervisordebug-enabled": False,
            "x-ms-azurevm-testsigning-enabled": False,
            "x-ms-runtime": {
                "client-payload": {"nonce": base64.b64encode(NONCE.encode()).decode()}
            },
        }
        self.top: dict[str, Any] = {}
        self.published = jwk()
        self.conditions: MaaReference | None = MaaReference(
            issuers=(AZURE,),
            minimum_svn={"bootloader": 4, "tee": 0, "snp": 24, "microcode": 219},
        )

    def look(self, token: bytes | None = None) -> AttestationResult:
        claims = self.claims | {"x-ms-isolation-tee": self.tee} | self.top
        given = references(
            "azure-maa",
            {"measurement": "ab" * 48},
            maa=self.conditions,
        )
        return look(
            MAA_TYPE,
            token or signed(self.header, claims),
            given,
            binding=NONCE.encode(),
            documents={f"jwks/{AZURE}": json.dumps({"keys": [self.published]}).encode()},
        )


GPU_KEY = ec.generate_private_key(ec.SECP384R1())
GPU_NONCE = b"\7" * 32


def es384(message: bytes) -> bytes:
    r, s = decode_dss_signature(GPU_KEY.sign(message, ec.ECDSA(hashes.SHA384())))
    return r.to_bytes(48, "big") + s.to_bytes(48, "big")


class Service:
    """Overall and GPU tokens of our own."""

    def __init__(self) -> None:
        eat = json.loads(vector("nvidia/nras-detached-eat.json"))
        payload = eat[1]["GPU-0"].split(".")[1]
        self.gpu: dict[str, Any] = json.loads(
            base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        )
        times = {"iat": NOW, "nbf": NOW, "exp": NOW + 3600, "eat_nonce": GPU_NONCE.hex()}
        del self.gpu["ueid"]  # each has its own
        self.gpu |= times
        self.overall: dict[str, Any] = {
            "iss": NVIDIA,
            "x-nvidia-overall-att-result": True,
            **times,
        }
        self.header: dict[str, Any] = {"alg": "ES384", "kid": "g1"}
        self.gpu_header: dict[str, Any] = {}
        self.conditions: NrasReference | None = NrasReference()
        numbers = GPU_KEY.public_key().public_numbers()
        self.published = {
            "kty": "EC",
            "crv": "P-384",
            "kid": "g1",
            "x": b64(numbers.x.to_bytes(48, "big")),
            "y": b64(numbers.y.to_bytes(48, "big")),
        }
        self.names = ("GPU-0", "GPU-1")
        self.change: Callable[[list[Any]], None] = lambda eat: None
        self.submods: Callable[[dict[str, Any]], None] = lambda named: None

    def look(self) -> AttestationResult:
        gpus = {
            name: signed(self.header | self.gpu_header, {"ueid": name} | self.gpu, es384).decode()
            for name in self.names
        }
        named: dict[str, Any] = {
            name: ["DIGEST", ["SHA-256", hashlib.sha256(text.encode()).hexdigest()]]
            for name, text in gpus.items()
        }
        self.submods(named)
        overall = signed(self.header, self.overall | {"submods": named}, es384).decode()
        eat: list[Any] = [["JWT", overall], gpus]
        self.change(eat)
        return look(
            NRAS_TYPE,
            json.dumps(eat).encode(),
            references("nvidia-nras", {}, nras=self.conditions),
            binding=GPU_NONCE,
            documents={f"jwks/{NVIDIA}": json.dumps({"keys": [self.published]}).encode()},
        )


def another() -> str:
    header = {"alg": "ES384", "kid": "g1"}
    return signed(header, Service().gpu | {"ueid": "1"}, es384).decode()
