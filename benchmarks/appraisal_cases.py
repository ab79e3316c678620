"""What `appraisal.py` measures: recorded evidence of each kind, with what its appraisal needs.

Two kinds have no recording that is complete, and are made here by the tests' own forges: the
Confidential Space token without a chain, and GPUs with their manifests and answers on revocation.
"""

from __future__ import annotations

import base64
import json
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from manatee.attestation import (
    NO_ENDORSEMENTS,
    Endorsements,
    ExpectedBinding,
    ReferenceValues,
    appraise,
    verifiers,
)
from manatee.attestation._azure.reference import AzureCvmReference
from manatee.attestation._cca.reference import CcaReference
from manatee.attestation._certificates import read_pem_chain
from manatee.attestation._gpu.reference import GpuReference
from manatee.attestation._nitro.reference import NitroReference
from manatee.attestation._snp.reference import SnpReference
from manatee.attestation._tdx.reference import TdxReference
from manatee.attestation._tokens.reference import (
    ConfidentialSpaceReference,
    MaaReference,
    NrasReference,
)
from manatee.attestation._vendor_roots import der
from manatee.errors import ManateeError
from manatee.records import Evidence, to_base64

TESTS = Path(__file__).parents[1] / "tests"
VECTORS = TESTS / "vectors"
AZURE = "https://sharedeus2.eus2.attest.azure.net"
NVIDIA = "https://nras.attestation.nvidia.com"
FLOORS = {
    "Milan": {"bootloader": 0, "tee": 0, "snp": 0, "microcode": 0},
    "Genoa": {"bootloader": 0, "tee": 0, "snp": 0, "microcode": 0},
    "Turin": {"fmc": 0, "bootloader": 0, "tee": 0, "snp": 0, "microcode": 0},
}
EXPECTED = ExpectedBinding.exactly(b"\1" * 64)


def cca_key() -> str:
    """Return the emulator's platform key."""
    jwk = json.loads((VECTORS / "cca" / "emulated-cpak-pub.jwk.json").read_bytes())
    x, y = (
        int.from_bytes(base64.urlsafe_b64decode(jwk[name] + "=" * (-len(jwk[name]) % 4)), "big")
        for name in "xy"
    )
    key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP384R1()).public_key()
    return to_base64(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


REFERENCE_VALUES = ReferenceValues(
    runtime_digests=(),
    roots={},
    snp=msgspec.convert({"minimum_tcb": FLOORS}, SnpReference),
    tdx=TdxReference(),
    nitro=NitroReference(),
    confidential_space=ConfidentialSpaceReference(audience="z08381475938604996746"),
    maa=MaaReference(issuers=(AZURE,), minimum_svn={}),
    nras=NrasReference(),
    azure_cvm=AzureCvmReference(),
    cca=CcaReference(platform_keys=(cca_key(),), implementation_ids=("00" * 32,)),
    gpu=GpuReference(driver_versions=(), vbios_versions=(), protected_pcie=True),
)


@dataclass(frozen=True)
class Case:
    """A piece of evidence with what its appraisal needs."""

    name: str
    media_type: str
    data: bytes
    at: datetime
    endorsements: Endorsements = NO_ENDORSEMENTS
    reference_values: ReferenceValues = field(default=REFERENCE_VALUES)
    expected: ExpectedBinding = EXPECTED

    def appraise(self, data: bytes | None = None) -> bool:
        """Appraise once; whether the signatures held."""
        payload = to_base64(self.data if data is None else data)
        try:
            result = appraise(
                Evidence(media_type=self.media_type, payload=payload),
                at=self.at,
                expected_binding=self.expected,
                reference_values=self.reference_values,
                max_age_seconds=None,
                endorsements=self.endorsements,
            )
        except ManateeError:
            return False
        return result.claims is not None


def media_type(kind: str) -> str:
    """Return a kind's media type."""
    return next(item.media_type for item in verifiers() if item.kind == kind)


def _recorded(kind: str, path: str, at: datetime, **documents: bytes) -> Case:
    named = {name.replace("__", "/", 1): data for name, data in documents.items()}
    data = (VECTORS / path).read_bytes()
    raw = data.strip() if path.endswith((".jwt", ".json")) else data
    return Case(path, media_type(kind), raw, at, Endorsements(documents=named))


def _snp(name: str, leaf: str, at: datetime) -> Case:
    folder = VECTORS / "snp"
    return Case(
        f"snp/{name}",
        media_type("amd-sev-snp"),
        (folder / name).read_bytes(),
        at,
        Endorsements(certificates=(der(read_pem_chain((folder / leaf).read_bytes())[0]),)),
    )


def _recordings() -> list[Case]:
    azure = (VECTORS / "azure-maa" / "maa-jwks.json").read_bytes()
    nvidia = (VECTORS / "nvidia" / "nras-jwks.json").read_bytes()
    collateral = (VECTORS / "tdx" / "v4-b0c06f.collateral.json").read_bytes()
    return [
        _snp("milan-report.bin", "milan-vcek.pem", datetime(2026, 6, 1, tzinfo=UTC)),
        _snp("turin-report.bin", "turin-vcek.pem", datetime(2026, 6, 1, tzinfo=UTC)),
        _recorded(
            "intel-tdx",
            "tdx/v4-b0c06f.quote",
            datetime(2025, 7, 1, tzinfo=UTC),
            **{"intel-tdx__b0c06f000000": collateral},
        ),
        _recorded(
            "aws-nitro",
            "nitro/doc-2022-11-09.cbor",
            datetime(2022, 11, 9, 22, 52, tzinfo=UTC),
        ),
        _recorded(
            "gcp-confidential-space",
            "gcp-confidential-space/pki-tdx-production.jwt",
            datetime(2025, 9, 5, 8, 30, tzinfo=UTC),
        ),
        _recorded(
            "azure-maa",
            "azure-maa/sevsnpvm.jwt",
            datetime(2025, 12, 15, 20, tzinfo=UTC),
            **{f"jwks__{AZURE}": azure},
        ),
        _recorded(
            "nvidia-nras",
            "nvidia/nras-detached-eat.json",
            datetime(2025, 6, 11, 1, tzinfo=UTC),
            **{f"jwks__{NVIDIA}": nvidia},
        ),
        _recorded("azure-cvm", "azure-cvm/snp-v1.json", datetime(2026, 1, 1, tzinfo=UTC)),
        _recorded("arm-cca", "cca/emulated-token.cbor", datetime(2026, 6, 1, tzinfo=UTC)),
        _recorded("nvidia-gpu", "nvidia/hopper-evidence.json", datetime(2026, 6, 1, tzinfo=UTC)),
    ]


def _made() -> list[Case]:
    """Make what was not to be had, with the forges of the tests."""
    for folder in ("gpu", "tokens"):
        sys.path.insert(0, str(TESTS / "unit" / "attestation" / folder))
    import gpu_forge  # type: ignore[import-not-found]
    import tokens_forge  # type: ignore[import-not-found]

    space = tokens_forge.Space()
    del space.header["x5c"]
    published = json.dumps({"keys": [tokens_forge.jwk()]}).encode()
    gpus = [gpu_forge.Gpu(serial=number) for number in range(1, 9)]
    whole = NO_ENDORSEMENTS
    for gpu in gpus:
        whole = whole.joined(gpu.collateral())
    given = gpus[0].references()
    bound = ExpectedBinding.exactly(gpu_forge.NONCE)

    def machine(name: str, count: int) -> Case:
        data = json.dumps([gpu.item() for gpu in gpus[:count]]).encode()
        kind = media_type("nvidia-gpu")
        return Case(name, kind, data, gpu_forge.AT, whole, given, bound)

    return [
        Case(
            "gcp-confidential-space, key by id (made)",
            media_type("gcp-confidential-space"),
            tokens_forge.signed(space.header, space.claims),
            tokens_forge.AT,
            Endorsements(documents={f"jwks/{tokens_forge.GOOGLE}": published}),
        ),
        machine("nvidia-gpu, one with all collateral (made)", 1),
        machine("nvidia-gpu, eight with all collateral (made)", 8),
    ]


def cases() -> list[Case]:
    """Return everything that is measured."""
    return [*_recordings(), *_made()]
