"""What a relying party demands of NVIDIA GPUs."""

from manatee.records import Record


class GpuReference(Record, frozen=True, kw_only=True):
    """Conditions for GPU measurement reports, which stand beside CPU evidence, never alone.

    Attributes:
        architectures: `hopper`, `blackwell`.
        driver_versions: Exact versions accepted, each with its reference measurements as
            endorsement `rim/<id>`.
        vbios_versions: As for drivers.
        require_revocation_status: Whether the device certificates need a fresh OCSP answer.
    """

    architectures: tuple[str, ...] = ("hopper", "blackwell")
    driver_versions: tuple[str, ...]
    vbios_versions: tuple[str, ...]
    require_revocation_status: bool = True
