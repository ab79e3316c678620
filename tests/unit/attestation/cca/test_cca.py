"""Arm CCA tokens (emulated: none of silicon was to be had): values, and what forging breaks."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from manatee.attestation import (
    AttestationResult,
    ExpectedBinding,
    GuestImage,
    Mark,
    ReferenceValues,
    appraise,
)
from manatee.attestation._cbor import Tagged
from manatee.attestation._cca.keys import realm_key
from manatee.attestation._cca.reference import CcaReference
from manatee.attestation._cca.token import parse_token
from manatee.attestation._cca.verifier import KIND, MEDIA_TYPE
from manatee.errors import MalformedError, ManateeError
from manatee.records import Evidence, Tier, digest_bytes, to_base64

sys.path.insert(0, str(Path(__file__).parents[1] / "cbor"))
from encoding import encode, sign1

VECTORS = Path(__file__).parents[3] / "vectors"
WANT = json.loads((VECTORS / "expected.json").read_bytes())["cca/emulated-token.cbor"]
TOKEN = (VECTORS / "cca" / "emulated-token.cbor").read_bytes()
AT = datetime(2026, 6, 1, tzinfo=UTC)
RUNTIME = digest_bytes(b"runtime")


def spki(key: ec.EllipticCurvePublicKey) -> str:
    return to_base64(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def emulated_key() -> str:
    jwk = json.loads((VECTORS / "cca" / "emulated-cpak-pub.jwk.json").read_bytes())
    x, y = (
        int.from_bytes(base64.urlsafe_b64decode(jwk[name] + "=" * (-len(jwk[name]) % 4)), "big")
        for name in "xy"
    )
    return spki(ec.EllipticCurvePublicNumbers(x, y, ec.SECP384R1()).public_key())


def references(key: str, rim: str, implementation: str, **members: Any) -> ReferenceValues:
    image = GuestImage(kind=KIND, measurements={"realm-initial": rim}, runtime_digest=RUNTIME)
    plain: dict[str, Any] = {
        "runtime_digests": (RUNTIME,),
        "roots": {},
        "images": (image,),
        "cca": CcaReference(platform_keys=(key,), implementation_ids=(implementation,)),
    }
    return ReferenceValues(**(plain | members))


def look(
    data: bytes,
    given: ReferenceValues | None = None,
    challenge: bytes = bytes.fromhex(WANT["realm_challenge"]),
) -> AttestationResult:
    return appraise(
        Evidence(media_type=MEDIA_TYPE, payload=to_base64(data)),
        at=AT,
        expected_binding=ExpectedBinding.exactly(challenge),
        reference_values=given
        or references(emulated_key(), WANT["rim"], WANT["implementation_id"]),
        max_age_seconds=None,
    )


def failed(result: AttestationResult) -> list[str]:
    return [item.name for item in result.checks if item.mark is Mark.FAILED]


def test_the_emulated_token_is_accepted_with_its_values() -> None:
    result = look(TOKEN)
    assert failed(result) == []
    assert result.tier is Tier.HARDWARE
    claims = result.require()
    assert claims.measurements["realm-initial"] == WANT["rim"]
    assert claims.platform == WANT["implementation_id"]
    assert claims.chip_id == WANT["instance_id"]
    token = parse_token(TOKEN)
    assert token.profile == WANT["profile"]
    assert token.lifecycle == WANT["lifecycle"]
    assert token.platform_challenge.hex() == WANT["platform_challenge"]
    assert [item.hex() for item in token.extensible_measurements] == WANT["rem"]
    assert token.personalization.hex() == WANT["rpv"]


def test_one_flipped_bit_at_every_byte_is_refused() -> None:
    given = references(emulated_key(), WANT["rim"], WANT["implementation_id"])
    for place in range(len(TOKEN)):
        broken = bytearray(TOKEN)
        broken[place] ^= 1 << place % 8
        try:
            result = look(bytes(broken), given)
        except ManateeError:
            continue
        assert not result.accepted, place


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"",
        lambda data: data[:1],
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: data + bytes(1 << 20),
        lambda data: data[3:],  # without its tag
        lambda data: b"\xd9\x03\x8b" + data[3:],  # tag 907
    ],
)
def test_what_is_no_token_is_malformed(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(MalformedError):
        parse_token(change(TOKEN))


@pytest.mark.parametrize("length", [63, 32])
def test_the_challenge_is_matched_whole(length: int) -> None:
    challenge = bytes.fromhex(WANT["realm_challenge"])
    assert failed(look(TOKEN, challenge=challenge[:length])) == ["binding"]
    assert failed(look(TOKEN, challenge=bytes([challenge[0] ^ 1]) + challenge[1:])) == ["binding"]


# --- forged ---------------------------------------------------------------------------------------


class Forge:
    """A platform and a realm of our own; members of both tokens can be set."""

    def __init__(self) -> None:
        self.platform_key = ec.generate_private_key(ec.SECP384R1())
        self.realm_key = ec.generate_private_key(ec.SECP384R1())
        self.signer = self.realm_key
        self.platform: dict[Any, Any] = {}
        self.realm: dict[Any, Any] = {}
        self.tag = 399
        self.swapped = False
        self.wrapped = False
        self.wrapper: list[Any] = [263]
        self.sign1_tag: int | None = 18
        self.beside: dict[Any, Any] = {}
        self.cose_key = False

    def _realm_key(self) -> bytes:
        point = self.realm_key.public_key().public_bytes(
            Encoding.X962, PublicFormat.UncompressedPoint
        )
        if self.cose_key:
            return encode({1: 2, -1: 2, -2: point[1:49], -3: point[49:]})
        return point

    def make(self) -> bytes:
        key = self._realm_key()
        platform = {
            265: "http://arm.com/CCA-SSD/1.0.0",
            10: hashlib.sha256(key).digest(),
            2396: b"\1" * 32,
            256: b"\1" + b"\2" * 32,
            2395: 0x3003,
            2399: [{1: "BL", 2: b"\3" * 32, 5: b"\6" * 32}],
            2401: b"\xcf" * 4,
            2402: "sha-256",
        } | self.platform
        realm = {
            10: b"\4" * 64,
            44235: bytes(64),
            44236: "sha-256",
            44237: key,
            44238: b"\5" * 32,
            44239: [bytes(32)] * 4,
            44240: "sha-256",
        } | self.realm
        own, theirs = (
            {name: value for name, value in item.items() if value != "absent"}
            for item in (platform, realm)
        )
        tokens = (
            sign1(encode(own), self.platform_key, tag=self.sign1_tag),
            sign1(encode(theirs), self.signer, tag=18),
        )
        if self.swapped:
            tokens = tokens[1], tokens[0]
        own, theirs = ([*self.wrapper, item] if self.wrapped else item for item in tokens)
        return encode(Tagged(self.tag, {44234: own, 44241: theirs, **self.beside}))

    def look(self, **members: Any) -> AttestationResult:
        given = references(spki(self.platform_key.public_key()), "05" * 32, "01" * 32, **members)
        return look(self.make(), given, b"\4" * 64)


@pytest.fixture
def forge() -> Forge:
    return Forge()


@pytest.mark.parametrize("cose_key", [False, True])
def test_the_forged_platform_is_accepted_by_whoever_pins_it(forge: Forge, cose_key: bool) -> None:
    forge.cose_key = cose_key
    assert failed(forge.look()) == []


SECOND_PLATFORM = {265: "tag:arm.com,2024:cca_platform#2.0.0", 2394: 1}
SECOND_REALM = {265: "tag:arm.com,2024:realm#2.0.0", 256: b"\1" + bytes(32), 44243: 1}


@pytest.mark.parametrize("tag", [399, 907])
@pytest.mark.parametrize(
    ("platform", "realm"),
    [
        ({}, {}),
        ({265: "tag:arm.com,2023:cca_platform#1.0.0"}, {265: "tag:arm.com,2023:realm#1.0.0"}),
        (SECOND_PLATFORM, SECOND_REALM),
    ],
)
def test_both_collections_carry_each_known_pair_of_profiles(
    forge: Forge, tag: int, platform: dict[Any, Any], realm: dict[Any, Any]
) -> None:
    forge.tag, forge.wrapped = tag, tag == 907
    forge.platform, forge.realm = platform, realm
    assert failed(forge.look()) == []


@pytest.mark.parametrize(
    ("platform", "realm"),
    [
        (SECOND_PLATFORM, {}),
        (SECOND_PLATFORM, {265: "tag:arm.com,2023:realm#1.0.0"}),
        ({}, SECOND_REALM),
        ({}, {265: "tag:arm.com,2024:realm#2.0.0"}),
        ({}, {265: None}),
        (SECOND_PLATFORM | {2394: 2}, SECOND_REALM),  # asked for by another domain
        (SECOND_PLATFORM | {2394: "absent"}, SECOND_REALM),
        ({265: "tag:arm.com,2026:cca_platform#2.0.0"}, {265: "tag:arm.com,2026:realm#2.0.0"}),
    ],
)
def test_profiles_that_do_not_go_together_are_malformed(
    forge: Forge, platform: dict[Any, Any], realm: dict[Any, Any]
) -> None:
    forge.platform, forge.realm = platform, realm
    with pytest.raises(MalformedError):
        parse_token(forge.make())


@pytest.mark.parametrize(
    ("tag", "wrapper"), [(399, [263]), (907, None), (907, [264]), (907, [263, 263]), (907, [])]
)
def test_a_collection_that_is_neither_of_the_two_is_malformed(
    forge: Forge, tag: int, wrapper: list[Any] | None
) -> None:
    forge.tag, forge.wrapped = tag, wrapper is not None
    forge.wrapper = wrapper or []
    with pytest.raises(MalformedError):
        parse_token(forge.make())


@pytest.mark.parametrize("beside", [{44258: [601, b""]}, {"x": 1}, {1: 1}])
def test_a_collection_of_more_than_both_tokens_is_malformed(
    forge: Forge, beside: dict[Any, Any]
) -> None:
    forge.beside = beside
    with pytest.raises(MalformedError):
        parse_token(forge.make())


def test_firmware_is_asked_where_it_is_listed(forge: Forge) -> None:
    key = spki(forge.platform_key.public_key())

    def listing(*firmware: str) -> CcaReference:
        return CcaReference(
            platform_keys=(key,), implementation_ids=("01" * 32,), firmware=firmware
        )

    assert failed(forge.look(cca=listing("03" * 32))) == []
    assert failed(forge.look(cca=listing())) == ["firmware"]
    forge.platform = {
        2399: [{2: b"\3" * 32, 5: bytes(32)}, {2: b"\7" * 32, 5: bytes(32)}],
    }
    assert failed(forge.look(cca=listing("03" * 32))) == ["firmware"]


UNKNOWN_CURVE = (
    ec.derive_private_key(1, ec.SECP256R1())
    .public_key()
    .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    .replace(bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2a8648ce3d03017f"))
)


@pytest.mark.parametrize("pinned", [b"", b"0", b"no key", bytes(91), UNKNOWN_CURVE])
def test_a_pinned_key_that_is_none_is_malformed(forge: Forge, pinned: bytes) -> None:
    given = CcaReference(platform_keys=(to_base64(pinned),), implementation_ids=("01" * 32,))
    with pytest.raises(MalformedError):
        forge.look(cca=given)


def test_a_realm_token_signed_by_another_key_is_refused(forge: Forge) -> None:
    forge.signer = ec.generate_private_key(ec.SECP384R1())
    assert failed(forge.look()) == ["signature"]


def test_a_platform_challenge_of_another_realm_key_is_refused(forge: Forge) -> None:
    forge.platform = {10: b"\7" * 32}
    result = forge.look()
    assert failed(result) == ["realm-key"]
    assert result.claims is None


@pytest.mark.parametrize("lifecycle", [0, 0x2FFF, 0x3100, 0x5000, 2**40])
def test_a_lifecycle_outside_the_secured_range_is_refused(forge: Forge, lifecycle: int) -> None:
    forge.platform = {2395: lifecycle}
    assert failed(forge.look()) == ["lifecycle"]


def test_conditions_keys_platforms_and_images_are_asked(forge: Forge) -> None:
    assert "allowed-kind" in failed(forge.look(cca=None))
    key = spki(forge.platform_key.public_key())
    other = spki(Forge().platform_key.public_key())
    nobody = CcaReference(platform_keys=(), implementation_ids=("01" * 32,))
    assert failed(forge.look(cca=nobody)) == ["root"]
    wrong = CcaReference(platform_keys=(other,), implementation_ids=("01" * 32,))
    assert failed(forge.look(cca=wrong)) == ["root"]
    elsewhere = CcaReference(platform_keys=(key,), implementation_ids=())
    assert failed(forge.look(cca=elsewhere)) == ["platform"]
    assert failed(forge.look(images=())) == ["image"]


def test_a_platform_token_without_its_tag_is_malformed(forge: Forge) -> None:
    forge.sign1_tag = None
    with pytest.raises(MalformedError):
        parse_token(forge.make())


def test_swapped_tokens_are_malformed(forge: Forge) -> None:
    forge.swapped = True
    with pytest.raises(MalformedError):
        parse_token(forge.make())


@pytest.mark.parametrize(
    "platform",
    [
        {265: "http://arm.com/CCA-SSD/9"},
        {265: "absent"},
        {2395: "absent"},
        {2395: -1},
        {2395: True},
        {2396: b"\1" * 31},
        {256: b"\1" * 32},
        {10: b"\1" * 31},
        {2399: []},
        {2399: [{1: "BL"}]},
        {2399: [{1: "BL", 2: b"\3" * 32}]},
        {2399: [{1: 5, 2: b"\3" * 32, 5: b"\3" * 32}]},
        {2399: [{2: b"\3" * 31, 5: b"\3" * 32}]},
        {2399: [{2: b"\3" * 32, 5: b"\3" * 32, 9: 0}]},
        {2399: [{2: b"\3" * 32, 5: b"\3" * 32}] * 65},
        {2399: [5]},
        {2400: 5},
        {2401: "absent"},
        {2401: bytes(1025)},
        {2402: "absent"},
        {256: b"\2" * 33},
        {9999: 1},
    ],
)
def test_a_platform_token_out_of_bounds_is_malformed(
    forge: Forge, platform: dict[Any, Any]
) -> None:
    forge.platform = platform
    with pytest.raises(MalformedError):
        parse_token(forge.make())


@pytest.mark.parametrize(
    "realm",
    [
        {10: b"\4" * 32},
        {10: "absent"},
        {44235: bytes(63)},
        {44236: "md5"},
        {44238: bytes(31)},
        {44239: [bytes(32)] * 3},
        {44239: [bytes(31)] * 4},
        {44237: "text"},
        {44240: "sha-1"},
        {265: "tag:other"},
        {9999: 1},
    ],
)
def test_a_realm_token_out_of_bounds_is_malformed(forge: Forge, realm: dict[Any, Any]) -> None:
    forge.realm = realm
    with pytest.raises(MalformedError):
        parse_token(forge.make())


GENERATOR = ec.derive_private_key(1, ec.SECP256R1()).public_key().public_numbers()
POINT = encode(
    {1: 2, -1: 1, -2: GENERATOR.x.to_bytes(32, "big"), -3: GENERATOR.y.to_bytes(32, "big")}
)


def test_a_realm_key_is_a_point_of_its_curve() -> None:
    assert realm_key(POINT).public_numbers() == GENERATOR


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"\4" + bytes(96),
        b"\2" * 97,
        b"\xa0",
        encode({1: 1}),
        encode({1: 2, -1: 9}),
        POINT.replace(b"\xa4\x01\x02", b"\xa4\x01\x01"),  # an octet key pair
        encode({1: 2, -1: 2, -2: bytes(48), -3: bytes(48)}),
    ],
)
def test_a_realm_key_that_is_none_is_malformed(key: bytes) -> None:
    with pytest.raises(MalformedError):
        realm_key(key)
