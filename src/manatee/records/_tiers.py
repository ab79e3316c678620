"""Assurance tiers: how much stands behind evidence.

A verifier computes them; evidence never claims one.
"""

from enum import Enum


class Tier(Enum):
    """From strongest to weakest. The default minimum everywhere is HARDWARE."""

    HARDWARE = "hardware"
    HARDWARE_VTPM = "hardware-vtpm"
    SOFTWARE_TPM = "software-tpm"
    SIMULATED = "simulated"

    def meets(self, minimum: "Tier") -> bool:
        """Whether this tier is at least as strong as `minimum`."""
        order = list(Tier)
        return order.index(self) <= order.index(minimum)
