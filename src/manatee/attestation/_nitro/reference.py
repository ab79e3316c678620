"""What a relying party demands of AWS Nitro enclaves, beside the image's PCRs."""

from typing import Annotated

import msgspec

from manatee.records import Record


class NitroReference(Record, frozen=True, kw_only=True):
    """Conditions for Nitro attestation documents.

    Attributes:
        required_pcrs: Every image must be named by at least these.
        role_sha384: PCR3 (hash of the parent instance's role), lower-case hexadecimal; None: any.
    """

    required_pcrs: tuple[Annotated[int, msgspec.Meta(ge=0, le=15)], ...] = (0, 1, 2)
    role_sha384: str | None = None
