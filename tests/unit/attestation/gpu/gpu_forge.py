"""A GPU of our own: certificates, report, manifests and answers on revocation, each changeable.

Nothing here is NVIDIA's. The tests pin this forge's roots; a verifier that pins NVIDIA's refuses
everything it makes.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from manatee.attestation import (
    AttestationResult,
    Endorsements,
    ExpectedBinding,
    Mark,
    ReferenceValues,
    appraise,
)
from manatee.attestation._gpu.reference import GpuReference
from manatee.attestation._gpu.revocation import answer_name
from manatee.records import Evidence, to_base64

MEDIA_TYPE = "application/vnd.manatee.nvidia-gpu+json"
AT = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
NONCE = bytes(range(32))
FWID = bytes.fromhex("ab" * 48)
SHA384 = bytes.fromhex("0609608648016503040202")
COMPOSITE, TCB_INFO = "2.23.133.5.4.1", "2.23.133.5.4.1.1"

KEYS = {
    name: ec.generate_private_key(ec.SECP384R1())
    for name in ("root", "model", "ica", "brom", "leaf", "rim-root", "rim-ca", "rim", "foreign")
}


KEYS["weak"] = ec.generate_private_key(ec.SECP192R1())


def failed(result: AttestationResult) -> list[str]:
    return [item.name for item in result.checks if item.mark is Mark.FAILED]


def der_tag(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = bytes((size,)) if size < 128 else b"\x81" + bytes((size & 0xFF,))
    if size > 255:
        length = b"\x82" + size.to_bytes(2, "big")
    return bytes((tag,)) + length + content


def fwid_sequence(digest: bytes) -> bytes:
    return der_tag(0x30, SHA384 + der_tag(0x04, digest))


def composite(digest: bytes = FWID, version: bytes = b"\1") -> bytes:
    """Hopper's form; the key in it is nobody's matter here."""
    key = KEYS["brom"].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return der_tag(0x30, der_tag(0x02, version) + key + fwid_sequence(digest))


def tcb_info(
    digest: bytes = FWID, flags: bytes = b"\x00\x80\x00\x00\x01", vendor: bytes = b"NVIDIA"
) -> bytes:
    """Blackwell's form."""
    return der_tag(
        0x30,
        der_tag(0x80, vendor)
        + der_tag(0xA6, fwid_sequence(digest) + fwid_sequence(bytes(48)))
        + der_tag(0x87, flags),
    )


def certificate(
    subject: str,
    key: str,
    issuer: str,
    signer: str,
    *,
    ca: bool,
    serial: int = 7,
    extension: tuple[str, bytes] | None = None,
    another_extension: tuple[str, bytes] | None = None,
    signs: bool = True,
    begins: datetime = AT - timedelta(days=30),
    ends: datetime = AT + timedelta(days=365),
    purpose: x509.ObjectIdentifier | None = None,
    digest: hashes.HashAlgorithm | None = None,
    unknown: bool = False,
) -> x509.Certificate:
    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(KEYS[key].public_key())
        .serial_number(serial)
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(
            x509.KeyUsage(digital_signature=signs and not ca, key_cert_sign=ca, **usage),
            critical=True,
        )
    )
    if ca:
        builder = builder.add_extension(x509.BasicConstraints(True, None), critical=True)
    for given in (extension, another_extension):
        if given is not None:
            value = x509.UnrecognizedExtension(x509.ObjectIdentifier(given[0]), given[1])
            builder = builder.add_extension(value, critical=False)
    if purpose is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    if unknown:
        value = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0")
        builder = builder.add_extension(value, critical=True)
    return builder.sign(KEYS[signer], digest or hashes.SHA384())


ROOT = certificate("device root", "root", "device root", "root", ca=True)
RIM_ROOT = certificate("rim root", "rim-root", "rim root", "rim-root", ca=True)
RIM_CA = certificate("rim ca", "rim-ca", "rim root", "rim-root", ca=True)


def der(item: x509.Certificate) -> bytes:
    return item.public_bytes(Encoding.DER)


def blocks(values: dict[int, bytes], *, kind: int = 1, spec: int = 1) -> bytes:
    return b"".join(
        struct.pack("<BBHBH", index, spec, len(value) + 3, kind, len(value)) + value
        for index, value in sorted(values.items())
    )


def opaque(fields: dict[int, bytes]) -> bytes:
    return b"".join(struct.pack("<HH", kind, len(value)) + value for kind, value in fields.items())


RECORD_AT = 37 + 8
"""Where a report's measurement record begins."""


def patch(place: int, value: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data[:place] + value + data[place + len(value) :]


class Answer:
    """An answer on revocation; what it says can be set."""

    def __init__(self, subject: x509.Certificate, issuer: x509.Certificate, key: str) -> None:
        self.subject, self.issuer, self.key = subject, issuer, key
        self.status = ocsp.OCSPCertStatus.GOOD
        self.reason: x509.ReasonFlags | None = None
        self.begins = AT - timedelta(hours=1)
        self.ends: datetime | None = AT + timedelta(hours=1)
        self.about = subject
        self.about_issuer = issuer
        self.responder = issuer
        self.appointed: list[x509.Certificate] = []
        self.extension_critical: bool | None = None

    def build(self) -> bytes:
        revoked = AT - timedelta(days=1)
        bad = self.status is ocsp.OCSPCertStatus.REVOKED
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                cert=self.about,
                issuer=self.about_issuer,
                algorithm=hashes.SHA1(),
                cert_status=self.status,
                this_update=self.begins,
                next_update=self.ends,
                revocation_time=revoked if bad else None,
                revocation_reason=self.reason,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, self.responder)
        )
        if self.extension_critical is not None:
            builder = builder.add_extension(x509.OCSPNonce(b"n" * 16), self.extension_critical)
        if self.appointed:
            builder = builder.certificates(self.appointed)
        return builder.sign(KEYS[self.key], hashes.SHA384()).public_bytes(Encoding.DER)


SWID = "http://standards.iso.org/iso/19770/-2/2015/schema.xsd"
HASH = "http://www.w3.org/2001/04/xmlenc#sha384"


class Manifest:
    """A reference manifest of our own."""

    def __init__(self, version: str, stated: dict[int, list[bytes]], *, chip: str) -> None:
        self.version, self.stated, self.chip = version, stated, chip
        self.edition = "GPU"
        self.inactive = {60: [bytes(48)]}
        self.change: Callable[[str], str] = lambda text: text
        self.signer = certificate("rim signer", "rim", "rim ca", "rim-ca", ca=False, serial=21)
        self.key = "rim"
        self.chain = [self.signer, RIM_CA, RIM_ROOT]
        self.after: Callable[[bytes], bytes] = lambda data: data
        self.canonical = "CANONICAL_XML_1_1"
        self.signed_part: str | None = None

    def unsigned(self) -> str:
        rows = [
            f'<Resource type="Measurement" index="{index}" active="{index in self.stated}" '
            f'alternatives="{len(values)}" name="M" size="48" '
            + " ".join(f'h:Hash{number}="{value.hex()}"' for number, value in enumerate(values))
            + "/>"
            for index, values in sorted((self.stated | self.inactive).items())
        ]
        return self.change(
            f'<SoftwareIdentity xmlns="{SWID}" xmlns:h="{HASH}" name="{self.chip}" tagId="t">'
            f'<Entity name="x" role="tagCreator"/>'
            f'<Meta colloquialVersion="{self.version}" edition="{self.edition}" '
            f'product="{self.chip}"/><Payload>{"".join(rows)}</Payload></SoftwareIdentity>'
        )

    def build(self) -> bytes:
        from lxml import etree
        from signxml import CanonicalizationMethod, DigestAlgorithm, SignatureMethod, XMLSigner

        signer = XMLSigner(
            signature_algorithm=SignatureMethod.ECDSA_SHA384,
            digest_algorithm=DigestAlgorithm.SHA384,
            c14n_algorithm=CanonicalizationMethod[self.canonical],
        )
        signed = signer.sign(
            etree.fromstring(self.unsigned().encode()),
            key=KEYS[self.key],
            cert=self.chain,
            reference_uri=self.signed_part,
        )
        return self.after(etree.tostring(signed))


class Gpu:
    """A GPU, its report and its collateral. Members may be changed before `look`."""

    def __init__(self, architecture: str = "hopper", serial: int = 99) -> None:
        blackwell = architecture == "blackwell"
        self.architecture = architecture
        self.chip = "GB100" if blackwell else "GH100"
        self.model = f"{self.chip} A01 GSP BROM"
        self.serial = serial
        self.rom_key = f"brom-{serial}"  # every GPU has its own, and a signing key for all of them
        self.rom_serial = 1000 + serial
        KEYS.setdefault(self.rom_key, ec.generate_private_key(ec.SECP384R1()))
        self.extension = (TCB_INFO, tcb_info()) if blackwell else (COMPOSITE, composite())
        self.values = {index: bytes((index,)) * 48 for index in range(1, 65)}
        self.fields: dict[int, bytes] = {
            6: bytes.fromhex("005e009601000000"),
            15: b"882\0",
            17: b"1010\0",
            18: b"0200\0",
            3: b"550.144.03\0",
            11: b"\x55",
            20: FWID,
            21: b"\x55",
        }
        self.nonce, self.responder_nonce = NONCE, bytes(32)
        self.said: dict[str, Any] = {}
        self.driver = Manifest("550.144.03", self.stated(7, 21, 22), chip=self.chip)
        self.vbios = Manifest("96.00.5E.00.01", self.stated(0, 1, 9), chip=self.chip)
        self.conditions = GpuReference(
            driver_versions=("550.144.03",), vbios_versions=("96.00.5E.00.01",)
        )
        self.leaf_options: dict[str, Any] = {}
        self.change_chain: Callable[[list[x509.Certificate]], list[x509.Certificate]] = list
        self.change_answers: Callable[[list[Answer]], None] = lambda answers: None
        self.change_report: Callable[[bytes], bytes] = lambda data: data  # before it is signed
        self.signing_key = "leaf"
        self.leaf_is_answered_for = False
        self.record_length: int | None = None
        self.documents: Callable[[dict[str, bytes]], None] = lambda found: None

    def stated(self, *indices: int) -> dict[int, list[bytes]]:
        return {index: [bytes((index + 1,)) * 48] for index in indices}

    @cached_property
    def chain(self) -> list[x509.Certificate]:
        """The certificates; made once, at first use, so change what is in them before."""
        authority = f"NVIDIA {self.chip} Identity"
        leaf = certificate(
            "FMC",
            "leaf",
            self.model,
            self.rom_key,
            ca=False,
            serial=self.serial,
            extension=self.extension,
            **self.leaf_options,
        )
        return [
            leaf,
            certificate(self.model, self.rom_key, "ica", "ica", ca=True, serial=self.rom_serial),
            certificate("ica", "ica", authority, "model", ca=True, serial=3),
            certificate(authority, "model", "device root", "root", ca=True, serial=4),
            ROOT,
        ]

    def unsigned(self) -> bytes:
        record = blocks(self.values)
        length = len(record) if self.record_length is None else self.record_length
        rest = opaque(self.fields)
        return self.change_report(
            bytes((0x11, 0xE0, 1, 0xFF)) + self.nonce + b"\0"
            + bytes((0x11, 0x60, 0, 0, len(self.values))) + length.to_bytes(3, "little") + record
            + self.responder_nonce + len(rest).to_bytes(2, "little") + rest
        )  # fmt: skip

    def report(self) -> bytes:
        data = self.unsigned()
        r, s = decode_dss_signature(KEYS[self.signing_key].sign(data, ec.ECDSA(hashes.SHA384())))
        return data + r.to_bytes(48, "big") + s.to_bytes(48, "big")

    def item(self, report: bytes | None = None) -> dict[str, Any]:
        pem = b"".join(entry.public_bytes(Encoding.PEM) for entry in self.change_chain(self.chain))
        return {
            "arch": self.architecture.upper(),
            "certificate": base64.b64encode(pem).decode(),
            "evidence": base64.b64encode(report or self.report()).decode(),
            "nonce": self.nonce.hex(),
        } | self.said

    def answers(self) -> list[Answer]:
        chain = self.chain
        found = [
            Answer(lower, upper, key)
            for lower, upper, key in zip(
                chain[1:4], chain[2:], ("ica", "model", "root"), strict=True
            )
        ]
        for manifest in (self.driver, self.vbios):
            found.append(Answer(manifest.signer, RIM_CA, "rim-ca"))
        found.append(Answer(RIM_CA, RIM_ROOT, "rim-root"))
        if self.leaf_is_answered_for:
            found.append(Answer(chain[0], chain[1], self.rom_key))
        self.change_answers(found)
        return found

    def collateral(self) -> Endorsements:
        name = "NV_GPU_DRIVER_GH100" if self.chip == "GH100" else f"NV_GPU_CC_DRIVER_{self.chip}"
        documents = {
            f"rim/{name}_550.144.03": self.driver.build(),
            "rim/NV_GPU_VBIOS_1010_0200_882_96005E0001": self.vbios.build(),
        }
        for answer in self.answers():
            documents[answer_name(answer.subject)] = answer.build()
        self.documents(documents)
        return Endorsements(documents=documents)

    def references(self) -> ReferenceValues:
        return ReferenceValues(
            runtime_digests=(),
            roots={
                "nvidia-gpu": (to_base64(der(ROOT)),),
                "nvidia-rim": (to_base64(der(RIM_ROOT)),),
            },
            gpu=self.conditions,
        )

    def look(
        self,
        *others: Gpu,
        payload: bytes | None = None,
        binding: bytes = NONCE,
        at: datetime = AT,
        references: ReferenceValues | None = None,
    ) -> AttestationResult:
        listed = [self.item(), *(other.item() for other in others)]
        endorsements = self.collateral()
        for other in others:
            endorsements = endorsements.joined(other.collateral())
        return appraise(
            Evidence(
                media_type=MEDIA_TYPE,
                payload=to_base64(json.dumps(listed).encode() if payload is None else payload),
            ),
            at=at,
            expected_binding=ExpectedBinding.exactly(binding),
            reference_values=references or self.references(),
            endorsements=endorsements,
            max_age_seconds=60,
        )


OCSP_SIGNING = ExtendedKeyUsageOID.OCSP_SIGNING
