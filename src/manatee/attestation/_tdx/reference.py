"""What a relying party demands of Intel TDX platforms."""

from typing import Annotated

import msgspec

from manatee.records import Record


class TdxReference(Record, frozen=True, kw_only=True):
    """Conditions for TDX quotes.

    Attributes:
        tcb_statuses: Intel's words for patch levels that are accepted.
        refused_advisories: Advisories that are refused whatever the status. `*`: any.
        maximum_collateral_age_seconds: Oldest collateral accepted, beside Intel's own expiry.
        minimum_tcb_evaluation_number: Lowest `tcbEvaluationDataNumber` accepted.
        require_sept_ve_disable: Whether the TD must refuse to be tricked by #VE on private pages.
        fmspcs: Platforms accepted, as lower-case hexadecimal; None: any that Intel vouches for.
    """

    tcb_statuses: tuple[str, ...] = ("UpToDate",)
    refused_advisories: tuple[str, ...] = ("*",)
    maximum_collateral_age_seconds: Annotated[int, msgspec.Meta(ge=0)] = 30 * 86400
    minimum_tcb_evaluation_number: Annotated[int, msgspec.Meta(ge=0)] = 0
    require_sept_ve_disable: bool = True
    fmspcs: tuple[str, ...] | None = None
