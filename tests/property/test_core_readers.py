"""Whatever bytes arrive: the readers return a value or raise an error of ours, in bounded time."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import manatee.records
from manatee.attestation import ExpectedBinding, ReferenceValues, appraise
from manatee.bundle import TrustAnchors, read_statement
from manatee.errors import ManateeError
from manatee.policy import PolicyDocument, SignedPolicy, TemplateParameters
from manatee.records import (
    Record,
    canonical_json,
    evidence_digest,
    parse_json,
    read_record,
    to_base64,
    unbase64,
)
from manatee.testing import Installation, as_evidence

KINDS: list[type[Record]] = [
    PolicyDocument,
    SignedPolicy,
    TemplateParameters,
    ReferenceValues,
    TrustAnchors,
    *(
        kind
        for kind in (getattr(manatee.records, name) for name in manatee.records.__all__)
        if isinstance(kind, type) and issubclass(kind, Record) and kind is not Record
    ),
]

NOTHING = ReferenceValues(runtime_digests=(), roots={})
NOW = datetime(2026, 3, 1, tzinfo=UTC)

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(), max_size=20)
    | st.sampled_from(["sha256:" + "0" * 64, "AA==", "2026-03-01T00:00:00Z", "name", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3)
    ),
    max_leaves=8,
)

HOSTILE = [
    b"[" * (1 << 20),
    b'{"a":' * 200_000,
    b"[" * 31 + b"]" * 31,
    b"9" * (1 << 20),
    b"-" + b"9" * 5000,
    b"1e400",
    b"1" * 40 + b".5",
    b"NaN",
    b"-Infinity",
    b'"\\ud800"',
    b'{"\\udfff":1}',
    b'"\\ud83d\\ude00"',
    b'"' + b"\\u0041" * 100_000 + b'"',
    b'"\xed\xa0\x80"',
    b"\xef\xbb\xbf{}",
    b'{"a":1,"a":1}',
    b'{"a":1,"\\u0061":1}',
    b"{}{}",
    b"{} \0",
    b'"\n"',
    b"\x00",
    b"",
    b'"' + b"[" * 100_000 + b'"',
    b"0x10",
    b"01",
    b"1_000",
    b"{'a':1}",
    b"//\n{}",
]


def check_message(error: ManateeError) -> None:
    """A message is short and cannot write on a screen, whatever was sent."""
    assert len(str(error)) < 3000
    assert str(error).isprintable()


def try_readers(data: bytes) -> None:
    for kind in KINDS:
        try:
            record = read_record(data, kind, what="x")
        except ManateeError as caught:
            check_message(caught)
        else:
            assert read_record(canonical_json(record), kind, what="x") == record
    for reader in (read_statement, parse_json, appraise_bytes):
        try:
            value = reader(data)
        except ManateeError:
            continue
        if reader is parse_json:
            canonical_json(value)


def appraise_bytes(data: bytes) -> None:
    appraise(
        as_evidence(data),
        at=NOW,
        expected_binding=ExpectedBinding.of(b"bound"),
        reference_values=NOTHING,
        max_age_seconds=None,
    )


@pytest.mark.timeout(10)
@pytest.mark.parametrize("data", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_documents_raise_our_errors_in_bounded_time(data: bytes) -> None:
    try_readers(data)


@pytest.mark.parametrize("data", [b'"\\ud800"', b'{"\\udfff":1}', b'["\\ud83d", "\\ude00"]'])
def test_lone_surrogates_are_refused_where_they_enter(data: bytes) -> None:
    with pytest.raises(ManateeError):
        parse_json(data)
    assert parse_json(b'"\\ud83d\\ude00"') == "\U0001f600"


@settings(max_examples=60, deadline=1000)
@given(st.binary(max_size=200))
def test_readers_of_arbitrary_bytes_raise_only_our_errors(data: bytes) -> None:
    try_readers(data)


@settings(max_examples=100, deadline=1000)
@given(values)
def test_readers_of_arbitrary_json_raise_only_our_errors(value: Any) -> None:
    try_readers(json.dumps(value).encode())


@settings(max_examples=200, deadline=1000)
@given(st.text(max_size=40) | st.binary(max_size=40).map(to_base64))
def test_base64_has_one_spelling(text: str) -> None:
    try:
        data = unbase64(text)
    except ManateeError:
        return
    assert to_base64(data) == text


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return Installation(tmp_path_factory.mktemp("place"))


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [at]
    if isinstance(value, dict):
        for name, inner in value.items():
            found += paths(inner, (*at, name))
    if isinstance(value, list):
        for number, inner in enumerate(value):
            found += paths(inner, (*at, number))
    return found


def with_value(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[path[0]] = with_value(copied[path[0]], path[1:], new)
    return copied


@settings(max_examples=250, deadline=1000)
@given(data=st.data(), new=values)
def test_one_member_of_a_genuine_request_replaced_is_refused_and_logged(
    place: Installation, data: st.DataObject, new: Any
) -> None:
    broker = place.broker(state="property.db")
    genuine = msgspec.to_builtins(place.ask(broker, approvals=()).request)
    path = data.draw(st.sampled_from(paths(json.loads(json.dumps(genuine)))))
    body = json.dumps(with_value(json.loads(json.dumps(genuine)), path, new)).encode()
    before = len(broker._store.decisions())
    with pytest.raises(ManateeError) as caught:
        broker.release(body)
    denied = len(broker._store.decisions()) - before
    assert denied == (1 if caught.value.code == "key-denied" else 0)
    broker._store.close()


@settings(max_examples=100, deadline=1000)
@given(st.text(st.characters(), max_size=200))
def test_the_digest_of_evidence_that_was_read_always_exists(media_type: str) -> None:
    body = json.dumps({"media_type": media_type, "payload": ""}).encode()
    try:
        evidence = read_record(body, manatee.records.Evidence, what="evidence")
    except ManateeError:
        return
    assert len(evidence_digest((evidence,))) == 32


def test_paths_of_records_stay_inside(tmp_path: Path) -> None:
    for path in ("../x", "a/../../x", "/x", "a\\b", "a\0", ".", "..", "a/.", "a\n"):
        body = json.dumps({"path": path, "sha256": "sha256:" + "0" * 64, "size": 1}).encode()
        with pytest.raises(ManateeError):
            read_record(body, manatee.records.FileEntry, what="entry")
