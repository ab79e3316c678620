"""What a relying party demands of TPM 2.0 quotes."""

from typing import Annotated

import msgspec

from manatee.records import Record

PcrIndex = Annotated[int, msgspec.Meta(ge=0, le=23)]


class TpmReference(Record, frozen=True, kw_only=True):
    """Conditions for TPM quotes. Roots are pinned by tier: a root of one proves no other.

    Attributes:
        pcrs: The quote must select exactly these, in the SHA-256 bank. Of 16 to 23, which software
            can set back, nothing is believed: an image that names one is never matched.
        activated_names: Names (hexadecimal) of attestation keys that this relying party itself
            activated; a key with no certificate of a pinned authority must be one of these, and
            its endorsement key have one.
    """

    pcrs: tuple[PcrIndex, ...] = (8, 9)
    activated_names: tuple[str, ...] = ()
