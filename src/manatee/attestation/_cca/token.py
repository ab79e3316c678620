"""Arm CCA attestation tokens: a platform token and a realm token, bound by the realm's key.

Arm, Realm Management Monitor specification, A7.2; IETF draft-ffm-rats-cca-token.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec

from manatee.attestation._cbor import Tagged, Value, bytes_of, decode
from manatee.attestation._cose import Sign1, read_sign1
from manatee.errors import MalformedError

COLLECTION_TAG = 399
PLATFORM = 44234
REALM = 44241
PLATFORM_PROFILES = ("http://arm.com/CCA-SSD/1.0.0", "tag:arm.com,2023:cca_platform#1.0.0")
REALM_PROFILES = ("tag:arm.com,2023:realm#1.0.0",)
ALGORITHMS = (-7, -35, -36)
HASHES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
MAX_TOKEN_BYTES = 16 << 10
_SECURED = range(0x3000, 0x3100)
"""Platform security lifecycle states in which the platform is trustworthy (PSA, "secured")."""

_CHALLENGE, _PROFILE, _INSTANCE = 10, 265, 256
_PLATFORM_MEMBERS = {_CHALLENGE, _PROFILE, _INSTANCE, 2394, 2395, 2396, 2399, 2400, 2401, 2402}
_REALM_MEMBERS = {_CHALLENGE, _PROFILE, 44235, 44236, 44237, 44238, 44239, 44240, 44242}


@dataclass(frozen=True)
class CcaToken:
    """The claims of both tokens, read but not believed."""

    platform: Sign1
    realm: Sign1
    profile: str
    implementation_id: bytes
    instance_id: bytes
    lifecycle: int
    platform_challenge: bytes
    components: tuple[str, ...]
    realm_challenge: bytes
    personalization: bytes
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
    if len(data) > MAX_TOKEN_BYTES:
        raise MalformedError(f"a CCA token has at most {MAX_TOKEN_BYTES} bytes.")
    whole = decode(data)
    if not isinstance(whole, Tagged) or whole.tag != COLLECTION_TAG:
        raise MalformedError(f"a CCA token is a collection under tag {COLLECTION_TAG}.")
    if not isinstance(whole.value, dict) or set(whole.value) != {PLATFORM, REALM}:
        raise MalformedError("a CCA token holds a platform token and a realm token.")
    platform = read_sign1(
        bytes_of(whole.value[PLATFORM], "the platform token"), algorithms=ALGORITHMS, tagged=None
    )
    realm = read_sign1(
        bytes_of(whole.value[REALM], "the realm token"), algorithms=ALGORITHMS, tagged=None
    )
    own = _claims(platform.payload, _PLATFORM_MEMBERS, "platform")
    theirs = _claims(realm.payload, _REALM_MEMBERS, "realm")
    profile = own.get(_PROFILE)
    if not isinstance(profile, str) or profile not in PLATFORM_PROFILES:
        raise MalformedError("the platform token's profile is unknown.")
    if _PROFILE in theirs and theirs[_PROFILE] not in REALM_PROFILES:
        raise MalformedError("the realm token's profile is unknown.")
    lifecycle = own.get(2395)
    if not isinstance(lifecycle, int) or isinstance(lifecycle, bool) or lifecycle < 0:
        raise MalformedError("the platform token's lifecycle must be a number.")
    size = HASHES[_hash_name(theirs.get(44236))]
    return CcaToken(
        platform=platform,
        realm=realm,
        profile=profile,
        implementation_id=bytes_of(own.get(2396), "the implementation id", sizes=(32,)),
        instance_id=bytes_of(own.get(_INSTANCE), "the instance id", sizes=(33,)),
        lifecycle=lifecycle,
        platform_challenge=bytes_of(
            own.get(_CHALLENGE), "the platform challenge", sizes=(32, 48, 64)
        ),
        components=_components(own.get(2399)),
        realm_challenge=bytes_of(theirs.get(_CHALLENGE), "the realm challenge", sizes=(64,)),
        personalization=bytes_of(theirs.get(44235), "the realm's personalization", sizes=(64,)),
        initial_measurement=bytes_of(theirs.get(44238), "the realm's measurement", sizes=(size,)),
        extensible_measurements=_registers(theirs.get(44239), size),
        realm_key=bytes_of(theirs.get(44237), "the realm's key", at_most=256),
        realm_key_hash=_hash_name(theirs.get(44240)),
    )


def _claims(payload: bytes, known: set[int], what: str) -> dict[int | str, Value]:
    fields = decode(payload)
    if not isinstance(fields, dict) or not set(fields) <= known:
        raise MalformedError(f"the {what} token has unknown members.")
    return fields


def _hash_name(value: Value) -> str:
    if not isinstance(value, str) or value not in HASHES:
        raise MalformedError("a CCA token names an unknown hash.")
    return value


def _registers(value: Value, size: int) -> tuple[bytes, ...]:
    if not isinstance(value, list) or len(value) != 4:
        raise MalformedError("a realm has four extensible measurements.")
    return tuple(bytes_of(item, "an extensible measurement", sizes=(size,)) for item in value)


def _components(value: Value) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise MalformedError("the platform token lists no software components.")
    found = []
    for item in value:
        if not isinstance(item, dict) or not isinstance(item.get(2), bytes):
            raise MalformedError("a software component lacks its measurement.")
        measured = item[2]
        assert isinstance(measured, bytes)  # noqa: S101 - checked the line before
        found.append(measured.hex())
    return tuple(found)


def public_key(encoded: bytes) -> ec.EllipticCurvePublicKey:
    """Return the realm's key: a bare point, or a COSE_Key (RFC 9053, section 7.1.1).

    Raises:
        MalformedError: It is neither, or no point of its curve.
    """
    curves: dict[int, ec.EllipticCurve] = {
        1: ec.SECP256R1(),
        2: ec.SECP384R1(),
        3: ec.SECP521R1(),
    }
    sizes = {65: 1, 97: 2, 133: 3}
    if len(encoded) in sizes and encoded[0] == 4:
        point, curve = encoded, curves[sizes[len(encoded)]]
    else:
        fields = decode(encoded)
        if not isinstance(fields, dict) or fields.get(1) != 2:
            raise MalformedError("the realm's key is no elliptic curve key.")
        number = fields.get(-1)
        if not isinstance(number, int) or number not in curves:
            raise MalformedError("the realm's key is on an unknown curve.")
        curve = curves[number]
        size = (curve.key_size + 7) // 8
        point = (
            b"\4"
            + bytes_of(fields.get(-2), "the realm's key", sizes=(size,))
            + bytes_of(fields.get(-3), "the realm's key", sizes=(size,))
        )
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(curve, point)
    except ValueError as error:
        raise MalformedError("the realm's key is no point of its curve.") from error
