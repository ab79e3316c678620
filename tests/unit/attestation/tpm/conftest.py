"""A TPM made of software keys, which signs whatever a test wants it to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID, ObjectIdentifier

from manatee.attestation import (
    AttestationResult,
    Endorsements,
    ExpectedBinding,
    Mark,
    ReferenceValues,
    TpmReference,
    appraise,
)
from manatee.records import Evidence, canonical_json, digest_bytes, raw_digest, to_base64

AT = datetime(2026, 11, 1, tzinfo=UTC)
NONCE = hashlib.sha256(b"binding").digest()
RUNTIME = digest_bytes(b"runtime")
JOB = digest_bytes(b"job")
AK = "2.23.133.8.3"
EK = "2.23.133.8.1"
EK_KEY = rsa.generate_private_key(65537, 2048)
DEFAULT = TpmReference()
Signer = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def number(value: int, size: int) -> bytes:
    return value.to_bytes(size, "big")


def sized(data: bytes) -> bytes:
    return number(len(data), 2) + data


def public_area(
    key: Signer,
    attributes: int,
    *,
    symmetric: bytes = number(0x0010, 2),
    scheme: bytes | None = None,
) -> bytes:
    """TPMT_PUBLIC, named by SHA-256."""
    head = number(0x0001 if isinstance(key, rsa.RSAPrivateKey) else 0x0023, 2)
    head += number(0x000B, 2) + number(attributes, 4) + sized(b"") + symmetric
    if isinstance(key, rsa.RSAPrivateKey):
        modulus = key.public_key().public_numbers().n
        usual = number(0x0014, 2) + number(0x000B, 2)
        unique = number(key.key_size, 2) + number(0, 4) + sized(number(modulus, key.key_size // 8))
        return head + (usual if scheme is None else scheme) + unique
    point = key.public_key().public_numbers()
    usual = number(0x0018, 2) + number(0x000B, 2)
    curve = {256: 3, 384: 4}[key.curve.key_size]
    size = key.curve.key_size // 8
    unique = number(curve, 2) + number(0x0010, 2)
    unique += sized(number(point.x, size)) + sized(number(point.y, size))
    return head + (usual if scheme is None else scheme) + unique


EK_PUBLIC = public_area(
    EK_KEY,
    0x000300B2,
    symmetric=number(0x0006, 2) + number(128, 2) + number(0x0043, 2),
    scheme=number(0x0010, 2),
)


def name_of(area: bytes) -> bytes:
    return area[2:4] + hashlib.sha256(area).digest()


def qualified(area: bytes, parent: bytes) -> bytes:
    return area[2:4] + hashlib.sha256(parent + name_of(area)).digest()


def selection(*indices: int, bank: int = 0x000B, size: int = 3) -> bytes:
    """TPMS_PCR_SELECTION."""
    bits = sum(1 << index for index in indices)
    return number(bank, 2) + number(size, 1) + bits.to_bytes(size, "little")


def register(*digests: bytes) -> bytes:
    """A register after these extends."""
    value = bytes(32)
    for digest in digests:
        value = hashlib.sha256(value + digest).digest()
    return value


class Authority:
    """A root of the tests' own."""

    def __init__(self, name: str = "software TPM, not hardware: an authority") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.root = self.issue(self.key.public_key(), name=self.name, ca=True, purposes=())

    def issue(
        self,
        key: Any,
        *,
        name: x509.Name | None = None,
        ca: bool = False,
        purposes: tuple[str, ...] = (AK,),
        usage: str = "",
        starts: datetime = AT - timedelta(days=1),
        ends: datetime = AT + timedelta(days=1),
        critical: bool = False,
    ) -> bytes:
        """Issue a certificate (DER)."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a key of a TPM")])
        builder = (
            x509.CertificateBuilder()
            .subject_name(name or subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(starts)
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if purposes:
            listed = [ObjectIdentifier(item) for item in purposes]
            builder = builder.add_extension(x509.ExtendedKeyUsage(listed), critical=False)
        if usage:
            names = "digital_signature content_commitment key_encipherment data_encipherment "
            names += "key_agreement key_cert_sign crl_sign encipher_only decipher_only"
            flags = {item: item == usage for item in names.split()}
            builder = builder.add_extension(x509.KeyUsage(**flags), critical=True)
        if critical:
            strange = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00")
            builder = builder.add_extension(strange, critical=True)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.DER)


@dataclass(frozen=True)
class Forge:
    """Everything in evidence, each part to be replaced; signed when it is put together."""

    authority: Authority
    key: Signer
    magic: int = 0xFF544347
    kind: int = 0x8018
    signer: bytes | None = None
    extra: bytes = NONCE
    clock: bytes = number(1000, 8) + number(3, 4) + number(1, 4) + b"\x01"
    firmware: int = 0x20191023
    selections: tuple[bytes, ...] = (selection(8, 9),)
    registers: tuple[tuple[int, bytes], ...] = (
        (8, register(raw_digest(RUNTIME))),
        (9, register(raw_digest(JOB))),
    )
    quoted: bytes | None = None
    attest_tail: bytes = b""
    hash_id: int = 0x000B
    attributes: int = 0x00050072
    public: bytes | None = None
    public_tail: bytes = b""
    signature: bytes | None = None
    signature_tail: bytes = b""
    ek_public: bytes = b""
    events: tuple[dict[str, Any], ...] = (
        {"pcr": 8, "kind": "runtime", "digest": RUNTIME},
        {"pcr": 9, "kind": "job", "digest": JOB},
    )
    certificates: tuple[bytes, ...] | None = None
    members: dict[str, Any] = field(default_factory=dict)

    def but(self, **parts: Any) -> Forge:
        return replace(self, **parts)

    @property
    def area(self) -> bytes:
        return public_area(self.key, self.attributes) if self.public is None else self.public

    @property
    def attest(self) -> bytes:
        """TPMS_ATTEST."""
        algorithm = {0x000B: "sha256", 0x000C: "sha384"}[self.hash_id]
        over = hashlib.new(algorithm, b"".join(value for _, value in self.registers)).digest()
        signer = qualified(self.area, number(0x4000000B, 4)) if self.signer is None else self.signer
        parts = number(self.magic, 4) + number(self.kind, 2) + sized(signer) + sized(self.extra)
        parts += self.clock + number(self.firmware, 8) + number(len(self.selections), 4)
        parts += b"".join(self.selections) + sized(over if self.quoted is None else self.quoted)
        return parts + self.attest_tail

    def signed(self, message: bytes) -> bytes:
        """TPMT_SIGNATURE."""
        algorithm: hashes.HashAlgorithm = {0x000B: hashes.SHA256(), 0x000C: hashes.SHA384()}[
            self.hash_id
        ]
        if isinstance(self.key, rsa.RSAPrivateKey):
            numbers = [self.key.sign(message, padding.PKCS1v15(), algorithm)]
            return number(0x0014, 2) + number(self.hash_id, 2) + sized(numbers[0])
        found = decode_dss_signature(self.key.sign(message, ec.ECDSA(algorithm)))
        size = self.key.curve.key_size // 8
        body = b"".join(sized(number(item, size)) for item in found)
        return number(0x0018, 2) + number(self.hash_id, 2) + body

    def payload(self) -> dict[str, Any]:
        attest = self.attest
        signature = self.signed(attest) if self.signature is None else self.signature
        return {
            "format_version": 1,
            "attest": to_base64(attest),
            "signature": to_base64(signature + self.signature_tail),
            "ak_public": to_base64(self.area + self.public_tail),
            "ek_public": to_base64(self.ek_public),
            "pcrs": [{"pcr": pcr, "value": value.hex()} for pcr, value in self.registers],
            "events": list(self.events),
        } | self.members

    def evidence(self) -> Evidence:
        return Evidence(
            media_type="application/vnd.manatee.tpm2-quote+json",
            payload=to_base64(canonical_json(self.payload())),
        )

    def appraise(
        self,
        *,
        at: datetime = AT,
        expected: ExpectedBinding | None = None,
        reference: TpmReference | None = DEFAULT,
        roots: dict[str, tuple[str, ...]] | None = None,
        evidence: Evidence | None = None,
        **members: Any,
    ) -> AttestationResult:
        certificates = self.certificates
        if certificates is None:
            certificates = (self.authority.issue(self.key.public_key()),)
        values: dict[str, Any] = {
            "runtime_digests": (RUNTIME,),
            "roots": {"software-tpm": (to_base64(self.authority.root),)}
            if roots is None
            else roots,
            "tpm": reference,
        }
        return appraise(
            evidence or self.evidence(),
            at=at,
            expected_binding=expected or ExpectedBinding.exactly(NONCE),
            reference_values=ReferenceValues(**(values | members)),
            max_age_seconds=None,
            endorsements=Endorsements(certificates=certificates),
        )

    def failed(self, **how: Any) -> list[str]:
        """Names of the checks that fail."""
        result = self.appraise(**how)
        return [item.name for item in result.checks if item.mark is Mark.FAILED]


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def forge(authority: Authority) -> Forge:
    """A TPM that is in order; tests break one thing in it."""
    return Forge(authority, ec.generate_private_key(ec.SECP256R1()))


@pytest.fixture(scope="session")
def tpm_bytes() -> Any:
    """What tests build TPM structures with."""
    import types

    return types.SimpleNamespace(
        AT=AT,
        NONCE=NONCE,
        RUNTIME=RUNTIME,
        JOB=JOB,
        AK=AK,
        EK=EK,
        EK_KEY=EK_KEY,
        EK_PUBLIC=EK_PUBLIC,
        number=number,
        sized=sized,
        public_area=public_area,
        name_of=name_of,
        qualified=qualified,
        selection=selection,
        register=register,
        Authority=Authority,
    )
