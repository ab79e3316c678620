"""Nitro documents: recorded ones give their values; each forged one fails what it breaks."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from manatee.attestation import (
    AttestationResult,
    ExpectedBinding,
    GuestImage,
    Mark,
    ReferenceValues,
    appraise,
)
from manatee.attestation._nitro.document import parse_document
from manatee.attestation._nitro.reference import NitroReference
from manatee.attestation._nitro.verifier import KIND, MEDIA_TYPE
from manatee.errors import MalformedError, ManateeError
from manatee.records import Evidence, Tier, digest_bytes, to_base64

sys.path.insert(0, str(Path(__file__).parents[1] / "cbor"))
from encoding import encode, sign1

VECTORS = Path(__file__).parents[3] / "vectors"
EXPECTED = json.loads((VECTORS / "expected.json").read_bytes())
RUNTIME = digest_bytes(b"runtime")
AT = datetime(2022, 11, 9, 22, 52, 0, tzinfo=UTC)
NONCE = bytes.fromhex("c678c86135de539d183acff58886d98dfb9823041af9f934bf909ac0f8d96245")


def document(name: str = "doc-2022-11-09") -> bytes:
    return (VECTORS / "nitro" / f"{name}.cbor").read_bytes()


def references(pcrs: dict[int, bytes], **members: Any) -> ReferenceValues:
    image = GuestImage(
        kind=KIND,
        measurements={f"pcr{index}": pcrs[index].hex() for index in (0, 1, 2) if index in pcrs},
        runtime_digest=RUNTIME,
    )
    plain: dict[str, Any] = {
        "runtime_digests": (RUNTIME,),
        "roots": {},
        "images": (image,),
        "nitro": NitroReference(),
    }
    return ReferenceValues(**(plain | members))


def look(
    data: bytes,
    *,
    at: datetime = AT,
    given: ReferenceValues | None = None,
    nonce: bytes = NONCE,
    max_age_seconds: int | None = 120,
) -> AttestationResult:
    return appraise(
        Evidence(media_type=MEDIA_TYPE, payload=to_base64(data)),
        at=at,
        expected_binding=ExpectedBinding.exactly(nonce),
        reference_values=given or references(parse_document(data)[0].pcrs),
        max_age_seconds=max_age_seconds,
    )


def failed(result: AttestationResult) -> list[str]:
    return [item.name for item in result.checks if item.mark is Mark.FAILED]


def test_a_recorded_document_is_accepted_with_its_values() -> None:
    result = look(document())
    assert failed(result) == []
    want = EXPECTED["nitro/doc-2022-11-09.cbor"]
    claims = result.require()
    for index, value in want["pcrs"].items():
        assert claims.measurements[f"pcr{index}"] == value
    assert claims.platform == want["module"]
    assert str(claims.issued_at) == want["ts"]
    assert claims.runtime_digest == RUNTIME
    assert result.tier is Tier.HARDWARE
    fields = parse_document(document())[0]
    assert fields.user_data.hex() == want["user_data"]
    assert fields.nonce.hex() == want["nonce"]


def test_a_recorded_document_with_a_bad_signature_is_refused() -> None:
    result = look(document("doc-2022-11-09-badsig"))
    assert failed(result) == ["signature"]
    assert result.claims is None


def test_a_recorded_debug_enclave_is_refused() -> None:
    data = document("doc-2022-10-12-debug")
    at = datetime(2022, 10, 12, 13, 50, 6, tzinfo=UTC)
    result = look(data, at=at)
    assert failed(result) == ["debug", "binding"]  # it carries no nonce either
    assert result.claims is not None
    assert result.claims.debug


@pytest.mark.parametrize(
    ("at", "max_age", "checks"),
    [
        (AT + timedelta(seconds=121), 120, ["freshness"]),
        (AT - timedelta(seconds=62), 120, ["freshness"]),
        (AT + timedelta(days=400), None, []),  # a run bundle read a year later
        (AT + timedelta(days=400), 120, ["freshness"]),
        (datetime(2026, 11, 1, tzinfo=UTC), 120, ["freshness"]),
    ],
)
def test_age_is_asked_apart_from_the_path(
    at: datetime, max_age: int | None, checks: list[str]
) -> None:
    assert failed(look(document(), at=at, max_age_seconds=max_age)) == checks


@pytest.mark.parametrize(
    "nonce", [NONCE[:-1], NONCE + b"\0", bytes([NONCE[0] ^ 1]) + NONCE[1:], b"x"]
)
def test_another_nonce_is_refused(nonce: bytes) -> None:
    assert failed(look(document(), nonce=nonce)) == ["binding"]


def test_one_flipped_bit_at_every_byte_is_refused() -> None:
    data = document()
    given = references(parse_document(data)[0].pcrs)
    for place in range(len(data)):
        broken = bytearray(data)
        broken[place] ^= 1 << place % 8
        try:
            result = look(bytes(broken), given=given)
        except ManateeError:
            continue
        assert not result.accepted, place


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"",
        lambda data: data[:1],
        lambda data: data[: len(data) // 4],
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: data + b"A",
        lambda data: data + bytes(1 << 20),
    ],
)
def test_what_is_no_document_is_malformed(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(MalformedError):
        parse_document(change(document()))


def test_conditions_root_and_image_are_asked() -> None:
    pcrs = parse_document(document())[0].pcrs
    assert "allowed-kind" in failed(look(document(), given=references(pcrs, nitro=None)))
    assert set(failed(look(document(), given=references(pcrs, roots={KIND: ()})))) == {
        "root",
        "signature",
    }
    assert failed(look(document(), given=references({0: pcrs[0], 1: pcrs[1]}))) == ["image"]
    other = {**pcrs, 2: bytes(47) + b"\1"}
    assert failed(look(document(), given=references(other))) == ["image"]
    role = NitroReference(role_sha384="11" * 48)
    assert failed(look(document(), given=references(pcrs, nitro=role))) == ["role"]


# --- forged: a hypervisor of our own --------------------------------------------------------------


def usage_of(**on: bool) -> x509.KeyUsage:
    names = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{name: on.get(name, False) for name in names})


class Forge:
    """A root, one intermediate and a leaf of three hours; the document's members can be set."""

    def __init__(self) -> None:
        self.keys = [ec.generate_private_key(ec.SECP384R1()) for _ in range(3)]
        self.signs: bool | None = True
        self.root = self._certificate("root", "root", 0, 0, ca=True)
        self.middle = self._certificate("middle", "root", 1, 0, ca=True)
        self.members: dict[str, Any] = {}
        self.without: set[str] = set()
        self.bundle: list[bytes] | None = None
        self.sign: dict[str, Any] = {}

    def _certificate(
        self, subject: str, issuer: str, key: int, signer: int, *, ca: bool
    ) -> x509.Certificate:
        def name(text: str) -> x509.Name:
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

        life = timedelta(days=9) if ca else timedelta(hours=3)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name(issuer))
            .public_key(self.keys[key].public_key())
            .serial_number(5)
            .not_valid_before(AT - timedelta(minutes=1))
            .not_valid_after(AT - timedelta(minutes=1) + life)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        signs = self.signs if not ca else False
        if signs is not None:
            usage = usage_of(digital_signature=signs, key_cert_sign=ca, key_agreement=not ca)
            builder = builder.add_extension(usage, critical=True)
        return builder.sign(self.keys[signer], hashes.SHA384())

    def fields(self) -> dict[str, Any]:
        leaf = self._certificate("leaf", "middle", 2, 1, ca=False)
        der = [item.public_bytes(Encoding.DER) for item in (self.root, self.middle)]
        plain: dict[str, Any] = {
            "module_id": "i-1",
            "timestamp": int(AT.timestamp() * 1000),
            "digest": "SHA384",
            "pcrs": {index: bytes([index + 1]) * 48 for index in range(16)},
            "certificate": leaf.public_bytes(Encoding.DER),
            "cabundle": der if self.bundle is None else self.bundle,
            "public_key": None,
            "user_data": None,
            "nonce": NONCE,
        }
        chosen = plain | self.members
        return {key: value for key, value in chosen.items() if key not in self.without}

    def make(self) -> bytes:
        return sign1(encode(self.fields()), self.keys[2], **self.sign)

    def look(self) -> AttestationResult:
        pcrs = {index: bytes([index + 1]) * 48 for index in range(3)}
        roots = {KIND: (to_base64(self.root.public_bytes(Encoding.DER)),)}
        return look(self.make(), given=references(pcrs, roots=roots))


@pytest.fixture
def forge() -> Forge:
    return Forge()


def test_the_forged_hypervisor_is_accepted_by_whoever_pins_it(forge: Forge) -> None:
    assert failed(forge.look()) == []


@pytest.mark.parametrize(
    "members",
    [
        {"digest": "SHA256"},
        {"digest": None},
        {"module_id": ""},
        {"module_id": 5},
        {"timestamp": 0},
        {"timestamp": -1},
        {"timestamp": 2**60},
        {"timestamp": "now"},
        {"timestamp": True},
        {"pcrs": {}},
        {"pcrs": {32: bytes(48)}},
        {"pcrs": {-1: bytes(48)}},
        {"pcrs": {"0": bytes(48)}},
        {"pcrs": {0: bytes(32)}},
        {"pcrs": {0: "text"}},
        {"pcrs": ((0, bytes(48)), (0, bytes(48)))},  # the same key twice
        {"cabundle": []},
        {"cabundle": [b"x"] * 9},
        {"cabundle": b"x"},
        {"cabundle": ["text"]},
        {"certificate": 5},
        {"certificate": bytes(1025)},
        {"cabundle": [bytes(1025)]},
        {"user_data": bytes(513)},
        {"user_data": "text"},
        {"nonce": bytes(513)},
        {"nonce": 5},
        {"public_key": bytes(1025)},
        {"more": 1},
    ],
)
def test_a_member_out_of_its_bounds_is_malformed(forge: Forge, members: dict[str, Any]) -> None:
    forge.members = members
    with pytest.raises(MalformedError):
        parse_document(forge.make())


@pytest.mark.parametrize(
    "member", ["module_id", "timestamp", "digest", "pcrs", "certificate", "cabundle"]
)
def test_a_missing_member_is_malformed(forge: Forge, member: str) -> None:
    forge.without = {member}
    with pytest.raises(MalformedError):
        parse_document(forge.make())


@pytest.mark.parametrize(
    "sign",
    [
        {"protected": {1: -7}},
        {"protected": {}},
        {"protected": {1: -35, 4: b"kid"}},
        {"protected": {1: "ES384"}},
        {"protected": ((1, -35), (1, -35))},
        {"protected": {}, "unprotected": {1: -35}},
        {"unprotected": {4: b"kid"}},
        {"unprotected": {1: -35}},
        {"tag": 98},
    ],
)
def test_headers_other_than_the_protected_algorithm_are_malformed(
    forge: Forge, sign: dict[str, Any]
) -> None:
    forge.sign = sign
    with pytest.raises(MalformedError):
        parse_document(forge.make())


def test_a_tagged_document_is_the_same_document(forge: Forge) -> None:
    forge.sign = {"tag": 18}
    assert forge.look().accepted


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_zero_or_missing_register_of_the_image_is_debug_mode(forge: Forge, index: int) -> None:
    registers = {number: bytes([number + 1]) * 48 for number in range(16)}
    forge.members = {"pcrs": registers | {index: bytes(48)}}
    assert failed(forge.look()) == ["debug", "image"]
    del registers[index]
    forge.members = {"pcrs": registers}
    assert failed(forge.look()) == ["debug", "image"]


@pytest.mark.parametrize("order", ["reversed", "foreign", "root missing", "root twice"])
def test_a_bundle_in_another_order_or_with_another_root_is_refused(
    forge: Forge, order: str
) -> None:
    root, middle = (item.public_bytes(Encoding.DER) for item in (forge.root, forge.middle))
    foreign = Forge().root.public_bytes(Encoding.DER)
    forge.bundle = {
        "reversed": [middle, root],
        "foreign": [foreign, middle],
        "root missing": [middle],
        "root twice": [root, root, middle],
    }[order]
    assert failed(forge.look()) == ["root", "signature"]


@pytest.mark.parametrize("signs", [False, None])
def test_a_certificate_that_is_not_for_signing_is_refused(forge: Forge, signs: bool | None) -> None:
    forge.signs = signs
    assert failed(forge.look()) == ["root", "signature"]


@pytest.mark.parametrize("minutes", [-2, 200])
def test_a_document_dated_outside_its_leaf_is_refused(forge: Forge, minutes: int) -> None:
    moved = AT + timedelta(minutes=minutes)
    forge.members = {"timestamp": int(moved.timestamp() * 1000)}
    pcrs = {index: bytes([index + 1]) * 48 for index in range(3)}
    roots = {KIND: (to_base64(forge.root.public_bytes(Encoding.DER)),)}
    result = look(forge.make(), at=moved, given=references(pcrs, roots=roots))
    assert failed(result) == ["root", "signature"]


def test_a_signature_of_zeroes_is_malformed(forge: Forge) -> None:
    with pytest.raises(MalformedError):  # CVE-2022-21449
        parse_document(forge.make()[:-96] + bytes(96))
