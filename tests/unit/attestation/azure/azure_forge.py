"""Recorded Azure machines, and machines of our own: SNP or TDX, paravisor and TPM forged."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from manatee.attestation import (
    AttestationResult,
    Endorsements,
    ExpectedBinding,
    GuestImage,
    Mark,
    ReferenceValues,
    appraise,
)
from manatee.attestation._azure.reference import AzureCvmReference
from manatee.attestation._azure.verifier import KIND, MEDIA_TYPE
from manatee.attestation._snp.reference import SnpReference
from manatee.attestation._tdx.quote import parse_quote
from manatee.attestation._tdx.reference import TdxReference
from manatee.records import Evidence, digest_bytes, to_base64

sys.path.insert(0, str(Path(__file__).parents[1] / "snp"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tdx"))
from snp_forge import ARK as SNP_ROOT
from snp_forge import ASK, FLOORS, Forge, der
from snp_forge import NOW as SNP_NOW
from test_tdx import APRIL, ForgedIntel

RUNTIME = digest_bytes(b"runtime")
NONCE = b"a nonce of thirty-two bytes, yes"
AK = rsa.generate_private_key(65537, 2048)
OTHER_AK = rsa.generate_private_key(65537, 2048)
PCRS = [hashlib.sha256(b"%d" % index).digest() for index in range(24)]
ALL = b"\xff\xff\xff"


def base64url(number: int) -> str:
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def jwk(key: rsa.RSAPrivateKey = AK, **changes: Any) -> dict[str, Any]:
    numbers = key.public_key().public_numbers()
    plain = {
        "kid": "HCLAkPub",
        "key_ops": ["sign"],
        "kty": "RSA",
        "e": base64url(numbers.e),
        "n": base64url(numbers.n),
    }
    return plain | changes


def runtime_json(*keys: Any, **changes: Any) -> bytes:
    settings = {"secure-boot": True, "tpm-enabled": True, "vmUniqueId": "A-B"}
    plain = {"keys": list(keys or (jwk(),)), "vm-configuration": settings, "user-data": "00" * 64}
    return json.dumps(plain | changes, separators=(",", ":")).encode()


@dataclass
class TpmQuote:
    """A quote by the forged TPM, with chosen fields."""

    magic: int = 0xFF544347
    kind: int = 0x8018
    nonce: bytes = NONCE
    bank: int = 0x000B
    select: bytes = ALL
    pcrs: list[bytes] = field(default_factory=lambda: list(PCRS))
    digest: bytes | None = None
    tail: bytes = b""
    key: rsa.RSAPrivateKey = field(default_factory=lambda: AK)
    scheme: Any = field(default_factory=padding.PKCS1v15)
    hash: Any = field(default_factory=hashes.SHA256)

    def message(self) -> bytes:
        digest = (
            hashlib.sha256(b"".join(self.pcrs)).digest() if self.digest is None else self.digest
        )
        signer = b"\x00\x0b" + bytes(32)
        return (
            struct.pack(">IHH", self.magic, self.kind, len(signer))
            + signer
            + struct.pack(">H", len(self.nonce))
            + self.nonce
            + struct.pack(">QIIBQ", 1, 2, 3, 1, 4)
            + struct.pack(">IHB", 1, self.bank, len(self.select))
            + self.select
            + struct.pack(">H", len(digest))
            + digest
            + self.tail
        )

    def members(self) -> dict[str, Any]:
        message = self.message()
        signature = self.key.sign(message, self.scheme, self.hash)
        return {
            "message": message.hex(),
            "signature": signature.hex(),
            "pcrs": [value.hex() for value in self.pcrs],
        }


@dataclass
class Hcl:
    """A paravisor's report with chosen fields; sizes fit unless they are chosen too."""

    report: bytes
    runtime: bytes
    signature: bytes = b"HCLA"
    version: int = 1
    request: int = 2
    status: int = 0
    reserved: bytes = bytes(12)
    data_version: int = 1
    kind: int = 2
    algorithm: int = 1
    size: int | None = None
    data_size: int | None = None
    runtime_size: int | None = None
    after: bytes = bytes(100)

    def made(self) -> bytes:
        length = len(self.runtime)
        size = 32 + 1184 + 20 + length if self.size is None else self.size
        data_size = 20 + length if self.data_size is None else self.data_size
        runtime_size = length if self.runtime_size is None else self.runtime_size
        return (
            self.signature
            + struct.pack("<4I", self.version, size, self.request, self.status)
            + self.reserved
            + self.report
            + struct.pack(
                "<5I", data_size, self.data_version, self.kind, self.algorithm, runtime_size
            )
            + self.runtime
            + self.after
        )


@dataclass
class AzureOverSnp:
    """A machine over our own SNP processor; each part can be chosen."""

    runtime: bytes = field(default_factory=runtime_json)
    report_data: bytes | None = None
    places: dict[int, bytes] = field(default_factory=dict)
    quote: TpmQuote = field(default_factory=TpmQuote)
    hcl: dict[str, Any] = field(default_factory=dict)
    members: dict[str, Any] = field(default_factory=dict)
    conditions: dict[str, Any] = field(default_factory=dict)

    def hardware(self) -> Forge:
        bound = hashlib.sha256(self.runtime).digest() + bytes(32)
        report_data = bound if self.report_data is None else self.report_data
        return Forge({0x50: report_data} | self.places)

    def document(self) -> dict[str, Any]:
        forge = self.hardware()
        hcl = Hcl(**({"report": forge.report(), "runtime": self.runtime} | self.hcl))
        plain = {
            "version": 1,
            "hcl_report": to_base64(hcl.made()),
            "tpm_quote": self.quote.members(),
            "vcek": to_base64(der(forge.leaf)),
        }
        return {name: value for name, value in (plain | self.members).items() if value is not None}

    def references(self, **members: Any) -> ReferenceValues:
        measured = {"measurement": self.hardware().report()[0x90:0xC0].hex()}
        measured |= {f"pcr{index}": PCRS[index].hex() for index in (4, 8, 9)}
        image = GuestImage(kind=KIND, measurements=measured, runtime_digest=RUNTIME)
        snp = msgspec.structs.replace(SnpReference(minimum_tcb=FLOORS), **self.conditions)
        plain: dict[str, Any] = {
            "runtime_digests": (RUNTIME,),
            "roots": {"amd-sev-snp": (to_base64(der(SNP_ROOT)),)},
            "images": (image,),
            "azure_cvm": AzureCvmReference(),
            "snp": snp,
        }
        return ReferenceValues(**(plain | members))

    def look(self, data: bytes | None = None, **members: Any) -> AttestationResult:
        return appraise(
            Evidence(
                media_type=MEDIA_TYPE,
                payload=to_base64(json.dumps(self.document()).encode() if data is None else data),
            ),
            at=SNP_NOW,
            expected_binding=ExpectedBinding.exactly(NONCE),
            reference_values=self.references(**members),
            max_age_seconds=None,
            endorsements=Endorsements(certificates=(der(ASK),)),
        )


@dataclass
class AzureOverTdx:
    """A machine over our own TDX platform."""

    intel: ForgedIntel = field(default_factory=ForgedIntel)
    runtime: bytes = field(default_factory=runtime_json)
    report_data: bytes | None = None
    td_report: dict[int, bytes] = field(default_factory=dict)
    members: dict[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        bound = hashlib.sha256(self.runtime).digest() + bytes(32)
        self.intel.body[520] = bound if self.report_data is None else self.report_data
        quote = self.intel.quote()
        fields = parse_quote(quote)[0]
        report = bytearray(1184)
        places = {
            0: b"\x81",
            128: fields.report_data,
            512: fields.td_attributes.to_bytes(8, "little"),
            528: fields.mr_td,
        }
        for place, value in (places | self.td_report).items():
            report[place : place + len(value)] = value
        hcl = Hcl(bytes(report), self.runtime, version=2, kind=4)
        plain = {
            "version": 1,
            "hcl_report": base64.urlsafe_b64encode(hcl.made()).decode(),
            "tpm_quote": TpmQuote().members(),
            "td_quote": base64.urlsafe_b64encode(quote).decode(),
        }
        return {name: value for name, value in (plain | self.members).items() if value is not None}

    def look(self, **members: Any) -> AttestationResult:
        document = self.document()
        fields = parse_quote(self.intel.quote())[0]
        measured = {"mrtd": fields.mr_td.hex()}
        measured |= {f"pcr{index}": PCRS[index].hex() for index in (4, 8, 9)}
        image = GuestImage(kind=KIND, measurements=measured, runtime_digest=RUNTIME)
        plain: dict[str, Any] = {
            "runtime_digests": (RUNTIME,),
            "roots": {"intel-tdx": (to_base64(self.intel.root.public_bytes(Encoding.DER)),)},
            "images": (image,),
            "azure_cvm": AzureCvmReference(),
            "tdx": TdxReference(),
        }
        return appraise(
            Evidence(media_type=MEDIA_TYPE, payload=to_base64(json.dumps(document).encode())),
            at=APRIL,
            expected_binding=ExpectedBinding.exactly(NONCE),
            reference_values=ReferenceValues(**(plain | members)),
            max_age_seconds=None,
            endorsements=Endorsements(documents=self.intel.collateral()),
        )


def failed(result: AttestationResult) -> list[str]:
    return [item.name for item in result.checks if item.mark is Mark.FAILED]
