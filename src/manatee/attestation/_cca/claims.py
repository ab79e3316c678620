"""Profiles, hashes and compound claims of CCA tokens (draft-ffm-rats-cca-token, section 4)."""

from __future__ import annotations

from dataclasses import dataclass

from manatee.attestation._cbor import Value, bytes_of
from manatee.errors import MalformedError

PLATFORM_PROFILES: dict[str, tuple[str | None, ...]] = {
    "http://arm.com/CCA-SSD/1.0.0": (None, "tag:arm.com,2023:realm#1.0.0"),
    "tag:arm.com,2023:cca_platform#1.0.0": (None, "tag:arm.com,2023:realm#1.0.0"),
    "tag:arm.com,2024:cca_platform#2.0.0": ("tag:arm.com,2024:realm#2.0.0",),
}
"""Platform profile to the realm profiles that go with it; None: the realm names none."""

HASHES = {"sha-256": "sha256", "sha-384": "sha384", "sha-512": "sha512"}
"""IANA name to the name in the standard library."""

HASH_SIZES = (32, 48, 64)
MAX_COMPONENTS = 64
_TYPE, _MEASUREMENT, _VERSION, _SIGNER, _HASH, _LIVE, _COUNTERSIGNERS = 1, 2, 4, 5, 6, 7, 8


@dataclass(frozen=True)
class SoftwareComponent:
    """One piece of the platform's firmware.

    Attributes:
        kind: Its role, such as `RMM`; empty if the token does not say.
        measurement: Hash of its state.
        signer: Hash of the key that signed it.
        version: Its vendor's word; empty if the token does not say.
    """

    kind: str
    measurement: bytes
    signer: bytes
    version: str


def hash_name(value: Value) -> str:
    """Return the name of a hash.

    Raises:
        MalformedError: It names none that is known.
    """
    if not isinstance(value, str) or value not in HASHES:
        raise MalformedError("a CCA token names an unknown hash.")
    return value


def registers(value: Value) -> tuple[bytes, ...]:
    """Return the four extensible measurements.

    Raises:
        MalformedError: They are not four hashes.
    """
    if not isinstance(value, list) or len(value) != 4:
        raise MalformedError("a realm has four extensible measurements.")
    return tuple(bytes_of(item, "an extensible measurement", sizes=HASH_SIZES) for item in value)


def software_components(value: Value) -> tuple[SoftwareComponent, ...]:
    """Return the platform's software components.

    Raises:
        MalformedError: There is none, one is incomplete, or has members of another type.
    """
    if not isinstance(value, list) or not 0 < len(value) <= MAX_COMPONENTS:
        raise MalformedError(f"a platform token lists 1 to {MAX_COMPONENTS} software components.")
    return tuple(_component(item) for item in value)


def _component(value: Value) -> SoftwareComponent:
    known = {_TYPE, _MEASUREMENT, _VERSION, _SIGNER, _HASH, _LIVE, _COUNTERSIGNERS}
    if not isinstance(value, dict) or not set(value) <= known:
        raise MalformedError("a software component has unknown members.")
    texts = [value.get(name, "") for name in (_TYPE, _VERSION, _HASH)]
    kind, version, _ = texts
    if not isinstance(kind, str) or not isinstance(version, str) or not isinstance(texts[2], str):
        raise MalformedError("a software component's type, version and hash must be texts.")
    return SoftwareComponent(
        kind=kind,
        measurement=bytes_of(value.get(_MEASUREMENT), "a component's hash", sizes=HASH_SIZES),
        signer=bytes_of(value.get(_SIGNER), "a component's signer", sizes=HASH_SIZES),
        version=version,
    )
