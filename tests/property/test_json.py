"""Framing and canonical JSON: two different things never get one name."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from manatee.errors import ManateeError
from manatee.records import (
    canonical_json,
    digest_record,
    length_prefixed,
    parse_json,
    to_base64,
    unbase64,
)
from manatee.records._json import MAX_SAFE_INTEGER

text = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text
)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)
parts = st.lists(st.binary(max_size=12) | text, max_size=5)


def raw(value: list[bytes | str]) -> list[bytes]:
    return [part.encode() if isinstance(part, str) else part for part in value]


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are one: 1 and 1.0 are, 1 and true are not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@settings(max_examples=300, deadline=None)
@given(parts, parts)
def test_frames_of_different_lists_differ(one: list[Any], other: list[Any]) -> None:
    assert (length_prefixed(*one) == length_prefixed(*other)) == (raw(one) == raw(other))


@settings(max_examples=200, deadline=None)
@given(parts.filter(bool))
def test_moving_the_border_between_two_parts_changes_the_frame(value: list[Any]) -> None:
    joined = b"".join(raw(value))
    framed = length_prefixed(*value)
    for cut in range(len(joined) + 1):
        split = [joined[:cut], joined[cut:]]
        assert (length_prefixed(*split) == framed) == (split == raw(value))


@settings(max_examples=300, deadline=None)
@given(documents)
def test_canonical_json_reads_back_and_has_one_form(value: Any) -> None:
    written = canonical_json(value)
    again = parse_json(written)
    assert same(again, json.loads(json.dumps(value)))
    assert canonical_json(again) == written


@settings(max_examples=300, deadline=None)
@given(documents, documents)
def test_digests_are_equal_only_for_equal_documents(one: Any, other: Any) -> None:
    assert (digest_record(one) == digest_record(other)) == same(one, other)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_base64_reads_back_and_a_changed_last_character_never_means_the_same(data: bytes) -> None:
    written = to_base64(data)
    assert unbase64(written) == data
    if data:
        position = len(written.rstrip("=")) - 1
        for character in "ABCD+/zQ9":
            changed = written[:position] + character + written[position + 1 :]
            if changed == written:
                continue
            try:
                assert unbase64(changed) != data
            except ManateeError:
                continue


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | documents.map(lambda value: json.dumps(value).encode()))
def test_whatever_is_read_is_what_pythons_reader_reads(data: bytes) -> None:
    try:
        found = parse_json(data)
    except ManateeError:
        return
    assert found == json.loads(data)
