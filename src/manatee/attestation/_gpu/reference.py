"""What a relying party demands of NVIDIA GPUs."""

from typing import Annotated

import msgspec

from manatee.records import Record


class GpuReference(Record, frozen=True, kw_only=True):
    """Conditions for GPU measurement reports, which stand beside CPU evidence, never alone.

    Attributes:
        architectures: `hopper`, `blackwell`.
        driver_versions: Exact versions accepted, each with its reference measurements as
            endorsement `rim/<id>`.
        vbios_versions: As for drivers.
        require_revocation_status: Whether the certificates of the device and of its manifests
            need a fresh OCSP answer. Where one is there, it counts in any case.
        max_revocation_age_seconds: Oldest OCSP answer accepted, whatever it says of its end.
        protected_pcie: Whether GPUs in Protected PCIe mode are accepted. What goes between them
            then passes switches in the clear, and switches are not appraised here.
    """

    architectures: tuple[str, ...] = ("hopper", "blackwell")
    driver_versions: tuple[str, ...]
    vbios_versions: tuple[str, ...]
    require_revocation_status: bool = True
    max_revocation_age_seconds: Annotated[int, msgspec.Meta(ge=1)] = 7 * 86_400
    protected_pcie: bool = False
