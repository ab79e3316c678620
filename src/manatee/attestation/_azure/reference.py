"""What a relying party demands of Azure confidential VMs, beside the hardware's conditions."""

from typing import Annotated

import msgspec

from manatee.attestation._tpm.reference import PcrIndex
from manatee.records import Record


class AzureCvmReference(Record, frozen=True, kw_only=True):
    """Conditions for an Azure confidential VM: those of SNP or TDX apply as well.

    Every image must also be named by the hardware's measurement (`measurement` or `mrtd`), which
    is the paravisor's: without it, anybody's SNP guest could play the paravisor.

    Attributes:
        required_pcrs: Every image must be named by at least these. Empty: nothing is accepted.
        require_secure_boot: Whether the paravisor must say that secure boot is on.
    """

    required_pcrs: Annotated[tuple[PcrIndex, ...], msgspec.Meta(max_length=24)] = (4, 8, 9)
    require_secure_boot: bool = False
