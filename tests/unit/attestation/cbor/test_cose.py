"""COSE_Sign1: what is signed, by which key, and what may stand around it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from manatee.attestation._cbor import Tagged
from manatee.attestation._cose import _ORDERS, read_sign1, signature_holds
from manatee.errors import MalformedError

sys.path.insert(0, str(Path(__file__).parent))
from encoding import encode

ES256, ES384, ES512 = -7, -35, -36
ALL = (ES256, ES384, ES512)
CURVES = {ES256: ec.SECP256R1(), ES384: ec.SECP384R1(), ES512: ec.SECP521R1()}
HASHES = {ES256: hashes.SHA256(), ES384: hashes.SHA384(), ES512: hashes.SHA512()}
SIZES = {ES256: 32, ES384: 48, ES512: 66}
KEYS = {algorithm: ec.derive_private_key(7, curve) for algorithm, curve in CURVES.items()}


def made(algorithm: int, *, key: ec.EllipticCurvePrivateKey | None = None, **members: Any) -> bytes:
    """Sign as an algorithm says, with its own key or another; parts can be put in afterwards."""
    header = encode({1: algorithm})
    signed = encode(["Signature1", header, b"", b"payload"])
    signature = (key or KEYS[algorithm]).sign(signed, ec.ECDSA(HASHES[algorithm]))
    numbers = (
        number.to_bytes(SIZES[algorithm], "big") for number in decode_dss_signature(signature)
    )
    parts = {
        "protected": header,
        "unprotected": {},
        "payload": b"payload",
        "signature": b"".join(numbers),
    }
    return encode(list((parts | members).values()))


@pytest.mark.parametrize("algorithm", ALL)
def test_a_signature_holds_under_its_own_key_and_no_other(algorithm: int) -> None:
    sign1 = read_sign1(made(algorithm), algorithms=ALL)
    holds = [signature_holds(sign1, KEYS[other].public_key()) for other in ALL]
    assert holds == [other == algorithm for other in ALL]
    another = ec.derive_private_key(8, CURVES[algorithm])
    assert not signature_holds(sign1, another.public_key())
    assert not signature_holds(sign1, object())


def test_a_key_of_another_curve_is_not_believed_though_its_signature_would_hold() -> None:
    small = KEYS[ES256]
    sign1 = read_sign1(made(ES384, key=small), algorithms=ALL)
    assert not signature_holds(sign1, small.public_key())


@pytest.mark.parametrize("algorithm", ALL)
def test_an_algorithm_that_was_not_asked_for_is_malformed(algorithm: int) -> None:
    others = tuple(other for other in ALL if other != algorithm)
    with pytest.raises(MalformedError):
        read_sign1(made(algorithm), algorithms=others)


@pytest.mark.parametrize("algorithm", ALL)
def test_the_numbers_of_a_signature_are_from_one_to_below_the_order(algorithm: int) -> None:
    size, order = SIZES[algorithm], _ORDERS[algorithm]
    ec.derive_private_key(order - 1, CURVES[algorithm])
    with pytest.raises(ValueError):  # noqa: PT011 - the library's, for a number that is the order
        ec.derive_private_key(order, CURVES[algorithm])

    def read(r: int, s: int) -> None:
        signature = r.to_bytes(size, "big") + s.to_bytes(size, "big")
        read_sign1(made(algorithm, signature=signature), algorithms=ALL)

    read(1, order - 1)
    for r, s in ((0, 1), (1, 0), (0, 0), (order, 1), (1, order)):
        with pytest.raises(MalformedError):
            read(r, s)


@pytest.mark.parametrize("algorithm", ALL)
@pytest.mark.parametrize("change", [-1, 1])
def test_a_signature_of_another_length_is_malformed(algorithm: int, change: int) -> None:
    one = bytes(SIZES[algorithm] - 1) + b"\1"
    read_sign1(made(algorithm, signature=one + one), algorithms=ALL)
    other = bytes(SIZES[algorithm] - 1 + change) + b"\1"
    with pytest.raises(MalformedError):
        read_sign1(made(algorithm, signature=one + other), algorithms=ALL)


@pytest.mark.parametrize(
    "members",
    [
        {"protected": b""},
        {"protected": b"\xa0"},
        {"protected": {1: ES256}},
        {"protected": encode({1: "ES256"})},
        {"protected": encode({1: ES256, 2: [1]})},  # crit
        {"protected": encode({1: ES256}) + b"\0"},
        {"protected": encode([1, ES256])},
        {"unprotected": {1: ES256}},
        {"unprotected": {4: b"kid"}},
        {"unprotected": []},
        {"unprotected": None},
        {"payload": None},  # detached
        {"payload": "payload"},
        {"signature": None},
        {"fifth": 0},
    ],
)
def test_other_headers_and_parts_are_malformed(members: dict[str, Any]) -> None:
    with pytest.raises(MalformedError):
        read_sign1(made(ES256, **members), algorithms=ALL)


@pytest.mark.parametrize(
    ("tag", "tagged", "read"),
    [
        (None, None, True),
        (None, False, True),
        (None, True, False),
        (18, None, True),
        (18, True, True),
        (18, False, False),
        (98, None, False),
        (98, True, False),
        (61, None, False),
    ],
)
def test_the_tag_is_the_one_asked_for(tag: int | None, tagged: bool | None, read: bool) -> None:
    data = made(ES256)
    whole = data if tag is None else encode(Tagged(tag, None))[:-1] + data
    if read:
        assert read_sign1(whole, algorithms=ALL, tagged=tagged).payload == b"payload"
        return
    with pytest.raises(MalformedError):
        read_sign1(whole, algorithms=ALL, tagged=tagged)
