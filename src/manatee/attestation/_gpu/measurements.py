"""Holds a report's measurements against the manifests of its driver and its VBIOS.

Follows NVIDIA's own verifier: a manifest's index n is the report's block n + 1; only active
measurements count; any of the alternatives will do; the two manifests must not speak of one index.
"""

from __future__ import annotations

from manatee.attestation._gpu.manifest import Manifest
from manatee.attestation._gpu.opaque import OpaqueData
from manatee.attestation._gpu.report import GpuReport
from manatee.errors import AppraisalRefusedError

_NVDEC0 = 35
"""Measured only where the first video decoder is there."""


def mismatches(report: GpuReport, driver: Manifest, vbios: Manifest) -> tuple[int, ...]:
    """Return the manifest indices at which a report is not as stated, in order.

    Raises:
        AppraisalRefusedError: Both manifests state one index.
    """
    if set(driver.measurements) & set(vbios.measurements):
        raise AppraisalRefusedError("the driver's and the VBIOS's manifest state the same index.")
    stated = {**driver.measurements, **vbios.measurements}
    if not report.opaque.nvdec0_enabled:
        stated.pop(_NVDEC0, None)
    return tuple(
        index
        for index, allowed in sorted(stated.items())
        if (block := report.measurements.get(index + 1)) is None
        or not block.digest
        or block.value not in allowed
    )


def driver_manifest_id(opaque: OpaqueData, architecture: str) -> str:
    """Return NVIDIA's id of the driver's manifest: the part after `rim/` in its name."""
    if architecture == "hopper":
        return f"NV_GPU_DRIVER_GH100_{opaque.driver_version}"
    return f"NV_GPU_CC_DRIVER_{opaque.chip or 'GB100'}_{opaque.driver_version}"


def vbios_manifest_id(opaque: OpaqueData) -> str:
    """Return NVIDIA's id of the VBIOS's manifest: board project, its SKU, the chip's, version."""
    return "_".join(
        ("NV_GPU_VBIOS", *opaque.project, opaque.vbios_version.replace(".", "").upper())
    )
