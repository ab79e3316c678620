"""Arm CCA attestation tokens: a platform token and a realm token, bound by the realm's key.

Arm, Realm Management Monitor specification 1.0 and 2.0-beta, A7.2; IETF draft-ffm-rats-cca-token,
revisions 00 to 03. Profiles after those (the binding moved to another claim) are not read.
"""

from __future__ import annotations

from dataclasses import dataclass

from manatee.attestation._cbor import Tagged, Value, bytes_of, decode
from manatee.attestation._cca.claims import (
    PLATFORM_PROFILES,
    SoftwareComponent,
    hash_name,
    registers,
    software_components,
)
from manatee.attestation._cose import Sign1, read_sign1
from manatee.errors import MalformedError

COLLECTION_TAG = 399
"""Both tokens as they are: RMM 1.0, drafts 00 and 01."""
WRAPPED_TAG = 907
"""Each token in a record of draft-ietf-rats-msg-wrap: RMM 2.0, drafts 02 and 03."""
EAT_CWT = 263
"""CoAP content format `application/eat+cwt`, the type of both wrappers."""
PLATFORM = 44234
REALM = 44241
ALGORITHMS = (-7, -35, -36)
MAX_CONFIG_BYTES = 1024
MAX_KEY_BYTES = 256
_SECURED = range(0x3000, 0x3100)
"""Platform security lifecycle states in which nobody can debug it (RMM A7.2.3.2.6)."""
_UEID = 1
"""First byte of an instance id."""
_REALM_MANAGEMENT = 1
"""Client id of the realm management domain: others could ask for a challenge of their choosing."""

_PLATFORM_1 = frozenset({10, 265, 256, 2395, 2396, 2399, 2400, 2401, 2402})
_PLATFORM_2 = _PLATFORM_1 | {2394, 2403, 2404, 2405, 2406}
_REALM_1 = frozenset({10, 265, 44235, 44236, 44237, 44238, 44239, 44240})
_REALM_2 = _REALM_1 | {256, 44243, 44244, 44257}


@dataclass(frozen=True)
class CcaToken:
    """The claims of both tokens, read but not believed.

    Attributes:
        platform: Signed by the platform's attestation key.
        realm: Signed by the realm's attestation key.
        lifecycle: The platform's security lifecycle, 16 bits.
        platform_challenge: What the platform was asked to sign: the hash of the realm's key.
        realm_challenge: What the realm asked for: 64 bytes.
        realm_key: The realm's key as it was hashed.
        realm_key_hash: IANA name of that hash.
    """

    platform: Sign1
    realm: Sign1
    profile: str
    implementation_id: bytes
    instance_id: bytes
    lifecycle: int
    platform_challenge: bytes
    config: bytes
    components: tuple[SoftwareComponent, ...]
    realm_challenge: bytes
    personalization: bytes
    measurement_hash: str
    initial_measurement: bytes
    extensible_measurements: tuple[bytes, ...]
    realm_key: bytes
    realm_key_hash: str

    @property
    def secured(self) -> bool:
        """Whether the platform says that it is in a secured state."""
        return self.lifecycle in _SECURED


def parse_token(data: bytes) -> CcaToken:
    """Read a token strictly, verifying nothing.

    Raises:
        MalformedError: It is not one, of an unknown profile, or has unknown members.
    """
    platform, realm = (
        read_sign1(item, algorithms=ALGORITHMS, tagged=True) for item in _both(decode(data))
    )
    own, theirs = _claims(platform.payload, "platform"), _claims(realm.payload, "realm")
    profile = _profiles(own, theirs)
    instance_id = bytes_of(own.get(256), "the instance id", sizes=(33,))
    if instance_id[0] != _UEID:
        raise MalformedError("the instance id must begin with 1.")
    if not isinstance(own.get(2402), str) or not isinstance(own.get(2400, ""), str):
        raise MalformedError("the platform token lacks its hash, or its service is no text.")
    return CcaToken(
        platform=platform,
        realm=realm,
        profile=profile,
        implementation_id=bytes_of(own.get(2396), "the implementation id", sizes=(32,)),
        instance_id=instance_id,
        lifecycle=_lifecycle(own.get(2395)),
        platform_challenge=bytes_of(own.get(10), "the platform challenge", sizes=(32, 48, 64)),
        config=bytes_of(own.get(2401), "the platform's config", at_most=MAX_CONFIG_BYTES),
        components=software_components(own.get(2399)),
        realm_challenge=bytes_of(theirs.get(10), "the realm challenge", sizes=(64,)),
        personalization=bytes_of(theirs.get(44235), "the realm's personalization", sizes=(64,)),
        measurement_hash=hash_name(theirs.get(44236)),
        initial_measurement=bytes_of(
            theirs.get(44238), "the realm's measurement", sizes=(32, 48, 64)
        ),
        extensible_measurements=registers(theirs.get(44239)),
        realm_key=bytes_of(theirs.get(44237), "the realm's key", at_most=MAX_KEY_BYTES),
        realm_key_hash=hash_name(theirs.get(44240)),
    )


def _both(whole: Value) -> tuple[bytes, bytes]:
    """Return the platform's and the realm's token out of one of the two collections."""
    if not isinstance(whole, Tagged) or whole.tag not in (COLLECTION_TAG, WRAPPED_TAG):
        raise MalformedError(
            f"a CCA token is a collection under tag {COLLECTION_TAG} or {WRAPPED_TAG}."
        )
    if not isinstance(whole.value, dict) or set(whole.value) != {PLATFORM, REALM}:
        raise MalformedError("a CCA token holds a platform token and a realm token alone.")
    own, theirs = whole.value[PLATFORM], whole.value[REALM]
    if whole.tag == WRAPPED_TAG:
        own, theirs = _unwrapped(own), _unwrapped(theirs)
    return bytes_of(own, "the platform token"), bytes_of(theirs, "the realm token")


def _unwrapped(record: Value) -> Value:
    if not isinstance(record, list) or len(record) != 2 or record[0] != EAT_CWT:
        raise MalformedError(f"a token under tag {WRAPPED_TAG} is wrapped as type {EAT_CWT}.")
    return record[1]


def _claims(payload: bytes, what: str) -> dict[int | str, Value]:
    fields = decode(payload)
    if not isinstance(fields, dict):
        raise MalformedError(f"the {what} token's claims are no map.")
    return fields


def _profiles(own: dict[int | str, Value], theirs: dict[int | str, Value]) -> str:
    """Return the platform's profile; the realm's must be one that goes with it."""
    profile = own.get(265)
    if not isinstance(profile, str) or profile not in PLATFORM_PROFILES:
        raise MalformedError("the platform token's profile is unknown.")
    realm_profile = theirs.get(265)
    if 265 in theirs and not isinstance(realm_profile, str):
        raise MalformedError("the realm token's profile must be text.")
    if realm_profile not in PLATFORM_PROFILES[profile]:
        raise MalformedError("the realm token's profile does not go with the platform's.")
    second = profile.endswith("#2.0.0")
    if not set(own) <= (_PLATFORM_2 if second else _PLATFORM_1):
        raise MalformedError("the platform token has unknown members.")
    if second and own.get(2394) != _REALM_MANAGEMENT:
        raise MalformedError("the platform token was not made for the realm management domain.")
    if not set(theirs) <= (_REALM_2 if second else _REALM_1):
        raise MalformedError("the realm token has unknown members.")
    return profile


def _lifecycle(value: Value) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise MalformedError("the platform token's lifecycle must be a number.")
    return value
