"""What a relying party demands of Arm CCA platforms."""

from manatee.records import Record


class CcaReference(Record, frozen=True, kw_only=True):
    """Conditions for Arm CCA tokens.

    Attributes:
        platform_keys: Endorsed platform attestation keys: DER SubjectPublicKeyInfo in base64.
        implementation_ids: Platforms accepted, lower-case hexadecimal.
        firmware: Measurements accepted of the platform's software components, lower-case
            hexadecimal: every component's must be among them. None: any, on the word of the
            pinned key and the implementation id.
    """

    platform_keys: tuple[str, ...]
    implementation_ids: tuple[str, ...]
    firmware: tuple[str, ...] | None = None
