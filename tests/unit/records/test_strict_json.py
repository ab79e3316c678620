"""Strict JSON in, canonical JSON out."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from manatee.errors import MalformedError, TooLargeError
from manatee.records import canonical_json, digest_bytes, digest_record, parse_json, read_record
from manatee.records._json import MAX_DEPTH, MAX_SAFE_INTEGER


def test_plain_documents_are_read_as_they_are() -> None:
    text = '{"a": [1, -2.5, 1e3, true, false, null, "\\u00e9\\n"], "": {}}'
    assert parse_json(text.encode()) == json.loads(text)


@pytest.mark.parametrize(
    "data",
    [
        b'{"a": 1, "a": 1}',
        b'{"a": 1, "\\u0061": 2}',
        b'[{"x": {"b": 1, "b": 2}}]',
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"1e400",
        b"-1e999",
        b"1" + b"0" * 60 + b".5",
        b"9007199254740993",
        b"-9007199254740993",
        b"99999999999999999999",
        b"1000000000000000000000",
        b"9" * 4000,
        b'"\\ud800"',
        b'{"\\udc00": 1}',
        b"{} {}",
        b"{}\x00",
        b"[1,]",
        b"",
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\x00}\x00",
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b"'a'",
        b"01",
        b"+1",
        b"0x1f",
        b'"a\nb"',
    ],
    ids=lambda data: ascii(data[:24]),
)
def test_what_json_readers_differ_on_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_json(data)
    assert "\n" not in str(caught.value)


def test_nesting_is_read_to_the_limit_and_no_further() -> None:
    parse_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    with pytest.raises(MalformedError, match="nested deeper"):
        parse_json(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))
    with pytest.raises(MalformedError):
        parse_json(b'{"a":' * 100_000)


def test_brackets_inside_text_are_not_nesting() -> None:
    text = "[" * 100 + '\\"{'
    assert parse_json(json.dumps([text, {"b": text}]).encode()) == [text, {"b": text}]


def test_the_largest_safe_integers_are_read() -> None:
    assert parse_json(str(MAX_SAFE_INTEGER).encode()) == MAX_SAFE_INTEGER
    assert parse_json(str(-MAX_SAFE_INTEGER).encode()) == -MAX_SAFE_INTEGER


@pytest.mark.parametrize("text", ["9007199254740992", "-295147905179352830000"])
def test_what_canonical_json_writes_of_a_large_double_is_read_as_that_double(text: str) -> None:
    found = parse_json(text.encode())
    assert isinstance(found, float)
    assert canonical_json(found) == text.encode()


def test_a_large_double_is_no_count() -> None:
    with pytest.raises(MalformedError, match="a whole number"):
        read_record(b'{"size":9007199254740992}', _Kept, what="x")


def test_oversize_is_refused_before_it_is_parsed() -> None:
    assert parse_json(b"[1]", max_bytes=3) == [1]
    with pytest.raises(TooLargeError, match="at most 3"):
        parse_json(b"[{bad", max_bytes=3)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        # RFC 8785, appendix B
        (0.0, "0"),
        (-0.0, "0"),
        (5e-324, "5e-324"),
        (-5e-324, "-5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (9007199254740991, "9007199254740991"),
        (295147905179352830000.0, "295147905179352830000"),
        (9.999999999999997e22, "9.999999999999997e+22"),
        (1e23, "1e+23"),
        (1.0000000000000001e23, "1.0000000000000001e+23"),
        (999999999999999700000.0, "999999999999999700000"),
        (1e21, "1e+21"),
        (9.999999999999997e-7, "9.999999999999997e-7"),
        (0.000001, "0.000001"),
        (333333333.3333332, "333333333.3333332"),
        (1424953923781206.2, "1424953923781206.2"),
        (4.5, "4.5"),
        (2e-3, "0.002"),
        (1e30, "1e+30"),
        (1.0, "1"),
    ],
)
def test_numbers_are_written_as_rfc_8785_says(value: float, text: str) -> None:
    assert canonical_json([value]) == f"[{text}]".encode()


def test_members_are_ordered_by_utf_16_code_units() -> None:
    # RFC 8785, section 3.2.3: the surrogates of the smiling face sort before U+FB33
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    written = canonical_json(dict.fromkeys(names, 0)).decode()
    ordered = ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    assert list(json.loads(written)) == ordered


def test_text_is_escaped_only_where_it_must_be() -> None:
    value = '\u20ac$\u000f\nA\'B"\\\\"/\u007f\u2028'
    assert canonical_json(value) == '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/\u007f\u2028"'.encode()


def test_spelling_does_not_change_a_digest() -> None:
    one = parse_json(b'{ "b": 1.50, "a": [ 1e2 ] }')
    other = parse_json(b'{"a":[100],"b":1.5}')
    assert digest_record(one) == digest_record(other)
    assert digest_record(one) == digest_bytes(b'{"a":[100],"b":1.5}')


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), -float("inf"), 2**53, "\ud800", {"\udfff": 1}, object()]
)
def test_values_without_canonical_form_are_refused(value: Any) -> None:
    with pytest.raises(MalformedError):
        canonical_json({"a": value})


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    size: int


def test_reading_a_record_takes_no_more_than_its_cap() -> None:
    assert read_record(b'{"size":1}', _Kept, what="x", max_bytes=10) == _Kept(size=1)
    with pytest.raises(TooLargeError):
        read_record(b'{"size":11}', _Kept, what="x", max_bytes=10)
