"""What a relying party demands of AMD SEV-SNP platforms."""

from typing import Annotated, Literal

import msgspec

from manatee.records import Record

HexText = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{2})+\Z", max_length=256)]


class SnpReference(Record, frozen=True, kw_only=True):
    """Conditions for SEV-SNP reports; a product without a floor is refused.

    Attributes:
        minimum_tcb: Product (`Milan`, `Genoa`, `Turin`) to component (`bootloader`, `tee`, `snp`,
            `microcode`, and `fmc` on Turin) to the lowest security version accepted. Every
            component of the product must be named.
        signing_keys: `vcek` (of the chip), `vlek` (of a cloud's fleet), or both.
        maximum_vmpl: The weakest privilege level accepted.
        chip_ids: Chips accepted, by their 64 bytes, or on Turin 8; None: any chip that AMD
            vouches for.
        require_alias_check: Whether the platform must have finished AMD's memory alias check
            (CVE-2024-21944).
        require_single_socket: Whether the guest policy must forbid a second socket.
        allow_smt: Whether hyper-threads may be shared.
    """

    minimum_tcb: dict[Literal["Milan", "Genoa", "Turin"], dict[str, int]]
    signing_keys: tuple[Literal["vcek", "vlek"], ...] = ("vcek",)
    maximum_vmpl: Annotated[int, msgspec.Meta(ge=0, le=3)] = 0
    chip_ids: tuple[HexText, ...] | None = None
    require_alias_check: bool = True
    require_single_socket: bool = False
    allow_smt: bool = True
