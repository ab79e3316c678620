"""Appraises one GPU's report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from manatee.attestation._endorsements import Endorsements
from manatee.attestation._expected import ExpectedBinding
from manatee.attestation._gpu.collateral import Looked, check_revocation, find_manifest, outcome
from manatee.attestation._gpu.identity import Identity, identify
from manatee.attestation._gpu.measurements import (
    driver_manifest_id,
    mismatches,
    vbios_manifest_id,
)
from manatee.attestation._gpu.opaque import GpuMode
from manatee.attestation._gpu.payload import GpuEvidence
from manatee.attestation._gpu.reference import GpuReference
from manatee.attestation._gpu.report import report_signed_by
from manatee.attestation._interface import Check, Mark, check

_UNTRUSTED = Looked(refused="not looked at, for the report is not a genuine GPU's")


@dataclass(frozen=True)
class GpuClaims:
    """What an accepted report says.

    Attributes:
        model: As certified by NVIDIA, such as `GH100 A01 GSP BROM`.
        serial: NVIDIA's identifier of the GPU.
        driver_version: Such as `550.144.03`.
        vbios_version: Such as `96.00.5E.00.01`.
        mode: How it is put together with other GPUs.
        firmware: SHA-384 of the firmware that holds the signing key, hexadecimal.
    """

    model: str
    serial: int
    driver_version: str
    vbios_version: str
    mode: GpuMode
    firmware: str


@dataclass(frozen=True)
class Appraised:
    """One GPU's checks.

    Attributes:
        checks: In order; the same names for every GPU.
        missing: Failed check to the collateral it lacked.
        claims: None unless certificates and signature hold.
        collateral_from: When the oldest answer on revocation was given, or None.
    """

    checks: tuple[Check, ...]
    missing: dict[str, str]
    claims: GpuClaims | None
    collateral_from: datetime | None


@dataclass(frozen=True)
class Roots:
    """Pinned roots, DER: of devices, and of reference manifests."""

    devices: Sequence[bytes]
    manifests: Sequence[bytes]


def appraise_device(
    evidence: GpuEvidence,
    *,
    at: datetime,
    expected_binding: ExpectedBinding,
    allowed: GpuReference,
    roots: Roots,
    endorsements: Endorsements,
) -> Appraised:
    """Appraise one GPU's report.

    Raises:
        AttestationError: A library is not installed.
    """
    report = evidence.report
    identity, path_looked = outcome(lambda: identify(evidence.chain, roots.devices, at=at))
    signed = report_signed_by(report, evidence.chain[0].public_key())
    checks = [
        _from("root", "GPU's certificates are NVIDIA's", "they end in a pinned root", path_looked),
        check(
            "signature",
            "Report is signed by the first certificate's key",
            signed,
            good="the signature over request and answer holds",
            bad="the signature over the report does not hold",
        ),
        *_own_checks(evidence, identity, expected_binding, allowed),
    ]
    claims = None
    oldest = None
    looked = dict.fromkeys(_COLLATERAL, _UNTRUSTED)
    if signed and identity is not None:
        oldest, looked = _collateral(evidence, identity, allowed, roots, endorsements, at)
        claims = GpuClaims(
            model=identity.model,
            serial=identity.serial,
            driver_version=report.opaque.driver_version,
            vbios_version=report.opaque.vbios_version,
            mode=report.opaque.mode,
            firmware=report.opaque.fwid.hex(),
        )
    checks += [_from(name, *_COLLATERAL[name], looked[name]) for name in _COLLATERAL]
    missing = {name: item.missing for name, item in looked.items() if item.missing}
    return Appraised(tuple(checks), missing, claims, oldest)


_COLLATERAL: dict[str, tuple[str, str]] = {
    "driver-manifest": ("Driver's manifest is NVIDIA's", "signed, in force, of that version"),
    "vbios-manifest": ("VBIOS's manifest is NVIDIA's", "signed, in force, of that version"),
    "measurements": ("GPU runs what the manifests state", "every active measurement is as stated"),
    "revocation": ("No certificate was revoked", "nothing says that one was"),
}
"""Checks that need collateral: title, and what a good outcome means."""


def _from(name: str, title: str, good: str, looked: Looked) -> Check:
    lacking = f"{looked.missing} is missing or out of date" if looked.missing else good
    reason = looked.refused or lacking
    return Check(name, title, Mark.PASSED if looked.good else Mark.FAILED, reason)


def _own_checks(
    evidence: GpuEvidence,
    identity: Identity | None,
    expected_binding: ExpectedBinding,
    allowed: GpuReference,
) -> tuple[Check, ...]:
    """Make the checks that need no collateral."""
    report, opaque = evidence.report, evidence.report.opaque
    architecture = identity.architecture if identity else None
    firmware = identity.firmware if identity else None
    return (
        check(
            "architecture",
            "GPU is of an architecture you accept",
            architecture in allowed.architectures and evidence.said_architecture == architecture,
            good=f"{architecture}: {identity.model}" if identity else "",
            bad="not on your list, not what its certificates say, or they are not NVIDIA's",
        ),
        check(
            "firmware",
            "Signing key is held by the firmware that reported",
            firmware is not None and firmware.identifier == opaque.fwid and firmware.secure,
            good="the report names the firmware that the boot ROM certified",
            bad="the report names another firmware or none, it is being debugged, or nobody knows",
        ),
        check(
            "binding",
            "Evidence is bound to this session",
            expected_binding.in_nonce(report.nonce) and evidence.said_nonce == report.nonce.hex(),
            good="the request's nonce is the hash of purpose, audience, nonce, job and key",
            bad="the request's nonce is not what this session expects",
        ),
        check(
            "mode",
            "What goes between GPUs is protected",
            allowed.protected_pcie or opaque.mode is not GpuMode.PROTECTED_PCIE,
            good=f"mode: {opaque.mode.value}",
            bad="Protected PCIe mode: it trusts switches that are not appraised here",
        ),
        check(
            "driver",
            "Driver is of a version you accept",
            opaque.driver_version in allowed.driver_versions,
            good=opaque.driver_version,
            bad=f"{opaque.driver_version} is not on your list",
        ),
        check(
            "vbios",
            "VBIOS is of a version you accept",
            opaque.vbios_version in allowed.vbios_versions,
            good=opaque.vbios_version,
            bad=f"{opaque.vbios_version} is not on your list",
        ),
    )


def _collateral(
    evidence: GpuEvidence,
    identity: Identity,
    allowed: GpuReference,
    roots: Roots,
    endorsements: Endorsements,
    at: datetime,
) -> tuple[datetime | None, dict[str, Looked]]:
    """Make the checks that need collateral, of a report that is genuine."""
    opaque = evidence.report.opaque
    family = identity.chip[:2]

    driver, driver_looked = find_manifest(
        driver_manifest_id(opaque, identity.architecture),
        opaque.driver_version,
        family,
        endorsements,
        roots.manifests,
        at=at,
    )
    vbios, vbios_looked = find_manifest(
        vbios_manifest_id(opaque),
        opaque.vbios_version,
        family,
        endorsements,
        roots.manifests,
        at=at,
    )
    if driver is not None and vbios is not None:
        wrong, measured = outcome(lambda: mismatches(evidence.report, driver, vbios))
        if wrong:
            listed = ", ".join(map(str, wrong))
            measured = Looked(refused=f"not as the manifests state at {listed}")
    else:
        measured = next(item for item in (driver_looked, vbios_looked) if not item.good)
    signers = [item.path for item in (driver, vbios) if item is not None]
    oldest, revoked = check_revocation(identity.path, signers, allowed, endorsements, at=at)
    return oldest, {
        "driver-manifest": driver_looked,
        "vbios-manifest": vbios_looked,
        "measurements": measured,
        "revocation": revoked,
    }
