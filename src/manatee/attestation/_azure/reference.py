"""What a relying party demands of Azure confidential VMs, beside the hardware's conditions."""

from manatee.attestation._tpm.reference import PcrIndex
from manatee.records import Record


class AzureCvmReference(Record, frozen=True, kw_only=True):
    """Conditions for an Azure confidential VM: those of SNP or TDX apply as well.

    Attributes:
        required_pcrs: Every image must be named by at least these.
    """

    required_pcrs: tuple[PcrIndex, ...] = (4, 8, 9)
