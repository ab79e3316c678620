"""What a relying party demands of Arm CCA platforms."""

from manatee.records import Record


class CcaReference(Record, frozen=True, kw_only=True):
    """Conditions for Arm CCA tokens.

    Attributes:
        platform_keys: Endorsed platform attestation keys: DER SubjectPublicKeyInfo in base64.
        implementation_ids: Platforms accepted, lower-case hexadecimal.
    """

    platform_keys: tuple[str, ...]
    implementation_ids: tuple[str, ...]
