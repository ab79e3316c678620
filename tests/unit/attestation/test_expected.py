"""One binding, in the form each kind of evidence carries it; nothing empty ever binds."""

from __future__ import annotations

import base64
import hashlib

import pytest

from manatee.attestation import ExpectedBinding
from manatee.errors import AttestationError

BOUND = b"what is bound"


def test_each_form_is_its_hash_of_the_binding() -> None:
    expected = ExpectedBinding.of(BOUND)
    assert expected.in_report_data(hashlib.sha512(BOUND).digest())
    short = hashlib.sha256(BOUND).digest()
    assert expected.in_nonce(short)
    text = base64.urlsafe_b64encode(short).rstrip(b"=").decode()
    assert len(text) == 43
    assert expected.in_text(text)


def test_no_form_stands_in_for_another() -> None:
    expected = ExpectedBinding.of(BOUND)
    short, whole = hashlib.sha256(BOUND).digest(), hashlib.sha512(BOUND).digest()
    assert not expected.in_report_data(short)
    assert not expected.in_report_data(short + bytes(32))
    assert not expected.in_nonce(whole)
    assert not expected.in_text(short.hex())


@pytest.mark.parametrize(
    "change",
    [
        lambda field: b"",
        lambda field: field[:-1],
        lambda field: field + b"\0",
        lambda field: bytes([field[0] ^ 1]) + field[1:],
        lambda field: field[:-1] + bytes([field[-1] ^ 0x80]),
        lambda field: bytes(len(field)),
    ],
)
def test_a_field_that_differs_at_all_is_not_bound(change: object) -> None:
    assert callable(change)
    expected = ExpectedBinding.of(BOUND)
    assert not expected.in_report_data(change(expected.report_data))
    assert not expected.in_nonce(change(expected.nonce))
    assert not expected.in_text(change(expected.text.encode()).decode("latin-1"))


@pytest.mark.parametrize("raw", [b"", bytes(1), bytes(32), bytes(64)])
def test_what_unused_fields_hold_is_never_expected(raw: bytes) -> None:
    with pytest.raises(AttestationError, match="binds nothing"):
        ExpectedBinding.exactly(raw)


def test_an_empty_binding_is_never_expected() -> None:
    with pytest.raises(AttestationError, match="binds nothing"):
        ExpectedBinding.of(b"")


def test_raw_bytes_are_expected_whole() -> None:
    assert ExpectedBinding.exactly(b"\1" * 64).in_report_data(b"\1" * 64)
    for length in (32, 63, 65):
        raw = b"\1" * length
        assert not ExpectedBinding.exactly(raw).in_report_data(raw)
        assert not ExpectedBinding.exactly(raw).in_report_data(raw.ljust(64, b"\0"))
        assert ExpectedBinding.exactly(raw).in_nonce(raw)


def test_raw_bytes_that_are_no_text_expect_no_text() -> None:
    assert ExpectedBinding.exactly(b"nonce").in_text("nonce")
    assert not ExpectedBinding.exactly(b"\xff\xfe").in_text("")


def test_a_form_that_is_not_expected_matches_no_empty_field() -> None:
    none = ExpectedBinding(report_data=b"", nonce=b"", text="")
    assert not none.in_report_data(b"")
    assert not none.in_nonce(b"")
    assert not none.in_text("")
