"""`manatee doctor` tries the object store as the service will use it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from manatee.cli import _doctor_service as doctor
from manatee.cli._findings import Finding
from manatee.settings import Settings

from ._s3 import BUCKET, FaultyFront, S3Server


def look(tmp_path: Path, url: str) -> Finding:
    (found,) = doctor.blobs(replace(Settings(), home=tmp_path / "home", blob_store_url=url))
    assert not (tmp_path / "home").exists()
    return found


def test_blobs_in_the_folder_need_no_look(tmp_path: Path) -> None:
    assert doctor.blobs(replace(Settings(), home=tmp_path)) == ()


def test_a_store_that_works_is_said_to_and_keeps_one_object(
    tmp_path: Path, front: FaultyFront, server: S3Server
) -> None:
    for _ in range(2):
        assert look(tmp_path, f"s3+http://{BUCKET}/room").good
    assert server.keys() == ["room/tried-by-manatee-doctor"]


def test_a_bucket_that_is_not_there_is_told(tmp_path: Path, front: FaultyFront) -> None:
    found = look(tmp_path, "s3+http://no-such-bucket/room")
    assert not found.good
    assert "no such bucket" in found.detail
    assert "MANATEE_BLOB_STORE_URL" in found.hint


def test_a_store_that_is_away_is_told_soon(
    tmp_path: Path, front: FaultyFront, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    found = look(tmp_path, f"s3+http://{BUCKET}/room")
    assert not found.good
    assert "cannot be reached" in found.detail


def test_a_url_that_is_none_is_told_without_quoting_it(tmp_path: Path) -> None:
    found = look(tmp_path, "s3://user:hush@bucket/x")
    assert not found.good
    assert "hush" not in found.detail + found.hint


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_store_that_refuses_to_list_or_write_or_read_is_told(
    tmp_path: Path, front: FaultyFront, at: int
) -> None:
    front.then(*["pass"] * at, "403")
    found = look(tmp_path, f"s3+http://{BUCKET}/room")
    assert not found.good
    assert "credentials" in found.hint


def test_a_store_that_gives_back_other_bytes_is_told(tmp_path: Path, front: FaultyFront) -> None:
    front.then("pass", "pass", "flip")
    found = look(tmp_path, f"s3+http://{BUCKET}/room")
    assert not found.good
    assert "other bytes" in found.detail
