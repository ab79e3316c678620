"""Recorded SEV-SNP reports with their certificates, and a processor of our own for forging."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
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
from manatee.attestation._certificates import read_pem_chain
from manatee.attestation._snp.reference import SnpReference
from manatee.attestation._snp.report import SIGNED_BYTES
from manatee.attestation._snp.verifier import KIND, MEDIA_TYPE
from manatee.attestation._vendor_roots import der
from manatee.records import Evidence, digest_bytes, to_base64

VECTORS = Path(__file__).parents[3] / "vectors"
EXPECTED = json.loads((VECTORS / "expected.json").read_bytes())
RUNTIME = digest_bytes(b"runtime")
ANYTHING = ExpectedBinding.exactly(b"\x01" * 64)

AT = {
    "milan-report": datetime(2026, 6, 1, tzinfo=UTC),
    "turin-report": datetime(2026, 6, 1, tzinfo=UTC),
    "genoa-v5-report": datetime(2026, 6, 1, tzinfo=UTC),
    "milan-azure-report": datetime(2024, 1, 1, tzinfo=UTC),
    "milan-vlek-report": datetime(2025, 6, 1, tzinfo=UTC),
    "milan-debug-report": datetime(2024, 1, 1, tzinfo=UTC),
}
LEAVES = {
    "milan-report": "milan-vcek.pem",
    "turin-report": "turin-vcek.pem",
    "genoa-v5-report": "genoa-v5-vcek.der",
    "milan-azure-report": "milan-azure-vcek.der",
    "milan-vlek-report": "milan-vlek.der",
    "milan-debug-report": "milan-debug-vcek.der",
}
FLOORS = {
    "Milan": {"bootloader": 2, "tee": 0, "snp": 5, "microcode": 68},
    "Genoa": {"bootloader": 10, "tee": 0, "snp": 27, "microcode": 27},
    "Turin": {"fmc": 1, "bootloader": 1, "tee": 1, "snp": 4, "microcode": 81},
}
LENIENT = SnpReference(
    minimum_tcb=FLOORS, signing_keys=("vcek", "vlek"), maximum_vmpl=3, require_alias_check=False
)


def report_bytes(name: str) -> bytes:
    return (VECTORS / "snp" / f"{name}.bin").read_bytes()


def leaf_der(file: str) -> bytes:
    data = (VECTORS / "snp" / file).read_bytes()
    return der(read_pem_chain(data)[0]) if file.endswith(".pem") else data


def references(
    measurement: str, snp: SnpReference | None = LENIENT, **members: Any
) -> ReferenceValues:
    image = GuestImage(kind=KIND, measurements={"measurement": measurement}, runtime_digest=RUNTIME)
    plain: dict[str, Any] = {"runtime_digests": (RUNTIME,), "roots": {}, "images": (image,)}
    return ReferenceValues(**(plain | {"snp": snp} | members))


def look(
    data: bytes,
    leaf: bytes,
    at: datetime,
    *,
    expected: ExpectedBinding | None = None,
    reference_values: ReferenceValues | None = None,
    more: tuple[bytes, ...] = (),
    revocations: tuple[bytes, ...] = (),
) -> AttestationResult:
    given = reference_values or references(data[0x90:0xC0].hex())
    bound = expected or ANYTHING
    if expected is None and len(data) > 0x90 and any(data[0x50:0x90]):
        bound = ExpectedBinding.exactly(data[0x50:0x90])
    return appraise(
        Evidence(media_type=MEDIA_TYPE, payload=to_base64(data)),
        at=at,
        expected_binding=bound,
        reference_values=given,
        max_age_seconds=None,
        endorsements=Endorsements(certificates=(leaf, *more), revocations=revocations),
    )


def failed(result: AttestationResult) -> list[str]:
    return [item.name for item in result.checks if item.mark is Mark.FAILED]


# --- forged: a processor of our own, so that only one thing is wrong ------------------------------

NOW = datetime(2026, 6, 1, tzinfo=UTC)
SHA384 = hashes.SHA384()


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def certificate(
    subject: str | x509.Name,
    issuer: str | x509.Name,
    key: Any,
    signer: rsa.RSAPrivateKey,
    *,
    ca: bool,
    extensions: dict[str, bytes] | None = None,
    algorithm: hashes.HashAlgorithm = SHA384,
    pss: bool = True,
    shift: timedelta = timedelta(),
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject if isinstance(subject, x509.Name) else _name(subject))
        .issuer_name(issuer if isinstance(issuer, x509.Name) else _name(issuer))
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW + shift - timedelta(days=1))
        .not_valid_after(NOW + shift + timedelta(days=1))
    )
    if ca:
        builder = builder.add_extension(
            x509.BasicConstraints(ca=True, path_length=1), critical=True
        )
    for oid, value in (extensions or {}).items():
        builder = builder.add_extension(
            x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value), critical=False
        )
    scheme = padding.PSS(padding.MGF1(algorithm), algorithm.digest_size)
    return builder.sign(signer, algorithm, rsa_padding=scheme if pss else padding.PKCS1v15())


ARK_KEY = rsa.generate_private_key(65537, 2048)
ASK_KEY = rsa.generate_private_key(65537, 2048)
VCEK_KEY = ec.generate_private_key(ec.SECP384R1())
ARK = certificate("ARK-Genoa", "ARK-Genoa", ARK_KEY, ARK_KEY, ca=True)
ASK = certificate("SEV-Genoa", "ARK-Genoa", ASK_KEY, ARK_KEY, ca=True)
ARC = "1.3.6.1.4.1.3704.1"
CHIP = bytes(range(64))


def vlek(**changes: Any) -> x509.Certificate:
    return vcek(**({"x4": None, "x5": b"\x16\x05cloud"} | changes))


def amd_extensions(**changes: bytes | None) -> dict[str, bytes]:
    plain: dict[str, bytes | None] = {
        "1": b"\x02\x01\x01",
        "2": b"\x16\x05Genoa",
        "3.1": b"\x02\x01\x0a",
        "3.2": b"\x02\x01\x00",
        "3.3": b"\x02\x01\x1b",
        "3.8": b"\x02\x01\x1b",
        "4": CHIP,
    }
    chosen = plain | {
        name.removeprefix("x").replace("_", "."): value for name, value in changes.items()
    }
    return {f"{ARC}.{name}": value for name, value in chosen.items() if value is not None}


def vcek(key: Any = None, how: dict[str, Any] | None = None, **changes: Any) -> x509.Certificate:
    given: dict[str, Any] = {"ca": False, "extensions": amd_extensions(**changes)} | (how or {})
    return certificate("SEV-VCEK", "SEV-Genoa", key or VCEK_KEY, ASK_KEY, **given)


@dataclass
class Forge:
    """A report with chosen bytes at chosen places, signed by our own VCEK."""

    places: dict[int, bytes] = field(default_factory=dict)
    leaf: x509.Certificate = field(default_factory=vcek)
    more: tuple[bytes, ...] = ()
    upper: tuple[x509.Certificate, x509.Certificate] | None = None

    def report(self) -> bytes:
        data = bytearray(report_bytes("genoa-v5-report"))
        data[0x1A0:0x1E0] = CHIP
        for place, value in self.places.items():
            data[place : place + len(value)] = value
        der_signature = VCEK_KEY.sign(bytes(data[:SIGNED_BYTES]), ec.ECDSA(hashes.SHA384()))
        r, s = decode_dss_signature(der_signature)
        data[SIGNED_BYTES : SIGNED_BYTES + 144] = r.to_bytes(72, "little") + s.to_bytes(
            72, "little"
        )
        return bytes(data)

    def authorities(self) -> tuple[x509.Certificate, x509.Certificate]:
        return self.upper or (ASK, ARK)

    def look(self, conditions: dict[str, Any] | None = None, **kwargs: Any) -> AttestationResult:
        data = self.report()
        snp = msgspec.structs.replace(SnpReference(minimum_tcb=FLOORS), **(conditions or {}))
        ask, ark = self.authorities()
        given = references(data[0x90:0xC0].hex(), snp, roots={KIND: (to_base64(der(ark)),)})
        more = (der(ask), *self.more)
        return look(data, der(self.leaf), NOW, reference_values=given, more=more, **kwargs)


def revocation_list(
    serials: list[int], signer: rsa.RSAPrivateKey, *, ends: datetime, issuer: str = "ARK-Genoa"
) -> bytes:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(_name(issuer))
        .last_update(NOW - timedelta(hours=1))
        .next_update(ends)
    )
    for serial in serials:
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder()
            .serial_number(serial)
            .revocation_date(NOW - timedelta(hours=2))
            .build()
        )
    pss = padding.PSS(padding.MGF1(hashes.SHA384()), 48)
    return builder.sign(signer, hashes.SHA384(), rsa_padding=pss).public_bytes(Encoding.DER)
