"""Attesters of TPMs: any virtual TPM, and software TPMs to try the protocol with."""

from manatee.tpm._authority import SoftwareTpmAuthority
from manatee.tpm._device import VtpmDevice
from manatee.tpm._software import SoftwareTpms

__all__ = ["SoftwareTpmAuthority", "SoftwareTpms", "VtpmDevice"]
