"""Blobs in a bucket, through every failure of it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest

from manatee.errors import (
    DamagedBlobError,
    SettingsError,
    StoreError,
    StoreRefusedError,
)
from manatee.records import digest_bytes
from manatee.store import Blobs
from manatee.store._blobs._interface import Place
from manatee.store._blobs._objects import PART_BYTES, WINDOW_BYTES, objects_at

from ._blob_places import DATA, DIGEST, SECRET, bucket_place, put, staged
from ._s3 import BUCKET, FaultyFront, S3Server

# --- a place that lies or loses bytes -----------------------------------------------------------


def test_bytes_that_a_bucket_gets_wrong_once_are_asked_for_again(
    in_bucket: Blobs, front: FaultyFront
) -> None:
    put(in_bucket)
    front.then("flip")
    assert in_bucket.read(DIGEST) == DATA
    assert front.left == []


def test_bytes_that_a_bucket_always_gets_wrong_are_never_handed_on(
    in_bucket: Blobs, front: FaultyFront
) -> None:
    put(in_bucket)
    front.always("flip")
    with pytest.raises(DamagedBlobError):
        next(in_bucket.stream(DIGEST))


def test_a_bucket_that_stored_other_bytes_is_found_out_before_the_acknowledgement(
    in_bucket: Blobs, front: FaultyFront
) -> None:
    front.always("flip-upload")
    with pytest.raises(StoreError):
        put(in_bucket)
    assert in_bucket.find(DIGEST) is None
    front.always(None)
    put(in_bucket)
    assert in_bucket.read(DIGEST) == DATA


def test_an_upload_whose_bytes_changed_on_the_way_once_is_repeated(
    in_bucket: Blobs, front: FaultyFront
) -> None:
    front.then("pass", "pass", "flip-upload")  # looked for, bucket looked at, uploaded
    put(in_bucket)
    assert in_bucket.read(DIGEST) == DATA


# --- a place that fails -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("500", StoreError),
        ("503", StoreError),
        ("slow", StoreError),
        ("drop", StoreError),
        ("truncate", StoreError),
        ("403", StoreRefusedError),
    ],
)
def test_a_failing_bucket_acknowledges_nothing_and_loses_nothing(
    in_bucket: Blobs, front: FaultyFront, fault: str, error: type[StoreError]
) -> None:
    put(in_bucket)
    fresh = os.urandom(PART_BYTES + 10)
    front.always(fault)
    with pytest.raises(error) as raised:
        put(in_bucket, fresh)
    assert raised.value.retryable
    assert raised.value.hint
    with pytest.raises(error):
        in_bucket.read(DIGEST)
    with pytest.raises(error):
        in_bucket.probe()
    assert in_bucket.find(digest_bytes(fresh)) is None
    assert staged(in_bucket) == []
    front.always(None)
    assert in_bucket.read(DIGEST) == DATA
    put(in_bucket, fresh)
    assert in_bucket.read(digest_bytes(fresh)) == fresh


def test_failures_that_pass_are_not_seen_by_callers(in_bucket: Blobs, front: FaultyFront) -> None:
    for fault in ("503", "drop"):
        front.then(fault)
        put(in_bucket)
        front.then(fault)
        assert in_bucket.read(DIGEST) == DATA


def test_a_truncated_answer_in_the_middle_is_asked_for_again(
    in_bucket: Blobs, front: FaultyFront
) -> None:
    data = os.urandom(2 * WINDOW_BYTES)
    digest = put(in_bucket, data)
    front.then("pass", "truncate")
    assert in_bucket.read(digest) == data
    assert front.left == []


def test_a_server_that_is_down_is_told_and_comes_back(
    in_bucket: Blobs, server: S3Server, front: FaultyFront
) -> None:
    put(in_bucket)
    front.stop()
    with pytest.raises(StoreError, match="cannot be reached"):
        in_bucket.read(DIGEST)
    with pytest.raises(StoreError, match="cannot be reached"):
        in_bucket.probe()
    with FaultyFront.before(server.url, port=urlsplit(front.url).port or 0):
        assert in_bucket.read(DIGEST) == DATA


def test_a_missing_bucket_is_the_operators_to_make(
    front: FaultyFront, open_blobs: Callable[[Place], Blobs]
) -> None:
    blobs = open_blobs(bucket_place(bucket="no-such-bucket"))
    with pytest.raises(StoreRefusedError, match="no such bucket"):
        blobs.probe()
    for data in (DATA, os.urandom(PART_BYTES + 1)):
        with pytest.raises(StoreRefusedError, match="no such bucket"):
            put(blobs, data)
        assert blobs.find(digest_bytes(data)) is None


def test_a_blob_that_is_gone_from_the_bucket_is_not_taken_for_a_missing_bucket(
    in_bucket: Blobs, server: S3Server
) -> None:
    put(in_bucket)
    server.empty()
    with pytest.raises(DamagedBlobError, match="gone"):
        in_bucket.read(DIGEST)
    put(in_bucket)
    assert in_bucket.read(DIGEST) == DATA


def test_no_message_and_no_chained_error_names_a_key_or_an_answer(
    in_bucket: Blobs, front: FaultyFront
) -> None:
    for fault in ("403", "500"):
        front.always(fault)
        with pytest.raises(StoreError) as raised:
            put(in_bucket)
        told: BaseException | None = raised.value
        while told is not None:
            assert "AKIDEXAMPLE" not in str(told)
            assert SECRET not in str(told)
            assert "127.0.0.1" not in str(told)
            told = told.__cause__ or (None if told.__suppress_context__ else told.__context__)


# --- what may be configured ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://bucket/prefix",
        "s3:///prefix",
        "s3://key:word@bucket/prefix",
        "s3://bucket/prefix?secret=x",
        "s3+ftp://bucket",
        "s3+://bucket",
        "file:///etc",
        "clean-room-7",
    ],
)
def test_only_a_bucket_and_a_prefix_make_a_url_and_the_url_is_not_quoted(url: str) -> None:
    with pytest.raises(SettingsError) as raised:
        objects_at(url)
    assert url not in str(raised.value)


def test_unencrypted_requests_need_a_url_that_says_so(front: FaultyFront) -> None:
    with pytest.raises(StoreError):
        objects_at(f"s3://{BUCKET}/x", again=0).probe()
    assert front.seen == 0
    objects_at(f"s3+http://{BUCKET}/x", again=0).probe()
    assert front.seen == 1


def test_objects_lie_below_the_prefix_and_nowhere_else(in_bucket: Blobs, server: S3Server) -> None:
    put(in_bucket)
    name = DIGEST.removeprefix("sha256:")
    assert server.keys() == [f"clean/room/{name[:2]}/{name}"]


def test_every_part_goes_out_with_a_checksum_for_the_server(
    in_bucket: Blobs, front: FaultyFront
) -> None:
    for data in (DATA, os.urandom(PART_BYTES + 1)):
        before = len(front.checksums)
        put(in_bucket, data)
        assert all(front.checksums[before:])
        assert len(front.checksums) > before


def test_boto_reads_the_same_object(in_bucket: Blobs, server: S3Server) -> None:
    put(in_bucket)
    (key,) = server.keys()
    client = boto3.client("s3", endpoint_url=server.url, region_name="us-east-1")
    with contextlib.closing(client):
        assert client.get_object(Bucket=BUCKET, Key=key)["Body"].read() == DATA


# --- a server that is run in production ---------------------------------------------------------


def test_a_part_that_changed_on_the_way_is_refused_by_the_server_itself(
    in_swift: FaultyFront, open_blobs: Callable[[Place], Blobs], tmp_path: Path
) -> None:
    blobs = open_blobs(bucket_place(prefix=tmp_path.name))
    for data in (DATA, os.urandom(PART_BYTES + 1)):
        in_swift.always("flip-upload-seen")
        with pytest.raises(StoreError):
            put(blobs, data)
        in_swift.always(None)
        assert blobs.find(digest_bytes(data)) is None
        with pytest.raises(DamagedBlobError):
            next(iter(blobs._place.read(digest_bytes(data), 0, 1)))
        assert blobs.read(put(blobs, data)) == data


def test_a_wrong_secret_is_refused(
    in_swift: FaultyFront,
    open_blobs: Callable[[Place], Blobs],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bucket_place().probe()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    blobs = open_blobs(bucket_place())
    for refused in (blobs.probe, lambda: put(blobs)):
        with pytest.raises(StoreRefusedError, match="does not let"):
            refused()
