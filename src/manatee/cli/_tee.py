"""Which TEE device guests have here: named by a setting, never detected, never fallen back from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from manatee._clock import system_clock
from manatee.backends import SANDBOX_KINDS, SandboxBackend
from manatee.errors import SettingsError
from manatee.records import EvidenceKind, Tier

SIMULATED_DEVICE_FOLDER = "simulated-tee"
SOFTWARE_TPM_FOLDER = "software-tpm"


@dataclass(frozen=True)
class Tee:
    """One device: how settings call it, what its evidence is, and how far it reaches."""

    name: str
    evidence_kind: EvidenceKind
    folder: str
    tier: Tier
    roots: str
    """Name under which reference values pin its authority."""

    @property
    def backend_kind(self) -> str:
        """What job manifests name."""
        return SANDBOX_KINDS[self.evidence_kind]

    def backend(self, folder: Path, home: Path) -> SandboxBackend:
        """Return the backend whose guests have this device.

        Args:
            folder: Where guests live.
            home: The installation, which keeps the device.
        """
        return SandboxBackend(folder, home / self.folder, device=self.evidence_kind)

    def root(self, home: Path) -> bytes:
        """Return the authority to pin, DER; makes the device on first use.

        Raises:
            AttestationError: The device cannot be had. Nothing takes its place.
        """
        if self.evidence_kind == "tpm2":
            from manatee.tpm import SoftwareTpms

            return SoftwareTpms(home / self.folder, system_clock).root()
        from manatee.attestation import SimulatedDevice

        return SimulatedDevice.open(home / self.folder, system_clock).root()


_TEES = (
    Tee("simulated", "simulated", SIMULATED_DEVICE_FOLDER, Tier.SIMULATED, "simulated"),
    Tee("software-tpm", "tpm2", SOFTWARE_TPM_FOLDER, Tier.SOFTWARE_TPM, "software-tpm"),
)


def tee_named(name: str) -> Tee:
    """Return a device by its name in settings.

    Raises:
        SettingsError: There is none of that name.
    """
    for tee in _TEES:
        if tee.name == name:
            return tee
    raise SettingsError(f"tee must be one of {', '.join(item.name for item in _TEES)}.")
