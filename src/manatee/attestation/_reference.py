"""What a relying party holds evidence against (RFC 9334: Reference Values)."""

from __future__ import annotations

from typing import Annotated

import msgspec

from manatee.attestation._azure.reference import AzureCvmReference
from manatee.attestation._cca.reference import CcaReference
from manatee.attestation._gpu.reference import GpuReference
from manatee.attestation._nitro.reference import NitroReference
from manatee.attestation._snp.reference import SnpReference
from manatee.attestation._tdx.reference import TdxReference
from manatee.attestation._tokens.reference import (
    ConfidentialSpaceReference,
    MaaReference,
    NrasReference,
)
from manatee.attestation._tpm.reference import TpmReference
from manatee.records import Base64, DigestText, Record

MeasurementName = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}\Z")]
MeasurementText = Annotated[
    str, msgspec.Meta(pattern=r"^(sha256:)?([0-9a-f]{2})+\Z", max_length=263)
]


class GuestImage(Record, frozen=True, kw_only=True):
    """One guest image that is known: the measurements it gives and the runtime it holds.

    Attributes:
        kind: Evidence kind the measurements are of.
        measurements: Name to value; every one must be claimed exactly so.
        runtime_digest: The runtime in the image.
    """

    kind: str
    measurements: dict[MeasurementName, MeasurementText]
    runtime_digest: DigestText


class ReferenceValues(Record, frozen=True, kw_only=True):
    """What evidence must agree with. Empty means that nothing is accepted.

    A hardware kind whose conditions are None is refused.

    Attributes:
        runtime_digests: Runtimes that may get keys.
        roots: Evidence kind to root certificates (DER, base64) trusted for it. A hardware
            vendor's kind that is not named here uses the vendor's built-in roots; kinds without
            a vendor (`simulated`, `software-tpm`) accept only what is named here.
        images: Known guest images.
    """

    runtime_digests: tuple[DigestText, ...]
    roots: dict[str, tuple[Base64, ...]]
    images: tuple[GuestImage, ...] = ()
    snp: SnpReference | None = None
    tdx: TdxReference | None = None
    nitro: NitroReference | None = None
    confidential_space: ConfidentialSpaceReference | None = None
    maa: MaaReference | None = None
    azure_cvm: AzureCvmReference | None = None
    tpm: TpmReference | None = None
    gpu: GpuReference | None = None
    nras: NrasReference | None = None
    cca: CcaReference | None = None
