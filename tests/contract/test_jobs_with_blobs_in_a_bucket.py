"""Whole jobs while the object store is a bucket: well, failing, and refusing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from manatee.api import create_app, serve_in_thread
from manatee.cli._services import look_for_blobs
from manatee.client import ManateeClient
from manatee.errors import DamagedBlobError, StoreError, StoreRefusedError
from manatee.jobs import JobState
from manatee.records import digest_bytes
from manatee.store import Job
from manatee.testing import ControlPlane
from manatee.testing._control_plane import OUTPUTS, RUNTIME

from ._s3 import BUCKET, FaultyFront, S3Server


@pytest.fixture
def plane(front: FaultyFront, tmp_path: Path) -> Iterator[ControlPlane]:
    made = ControlPlane(tmp_path, blobs_url=f"s3+http://{BUCKET}/room")
    yield made
    made.store.close()


def advance(plane: ControlPlane, job: Job) -> None:
    with pytest.raises(StoreError):
        plane.reconciler().settle()
    assert not plane.state(job).name.startswith("FAILED")
    plane.clock.put_forward(60)  # the lease of the reconciler that gave up runs out


def test_a_job_is_run_and_its_outputs_are_fetched_over_http(
    plane: ControlPlane, server: S3Server
) -> None:
    app = create_app(plane.store, plane.settings, plane.clock, runtimes=[RUNTIME])
    with serve_in_thread(app) as url:
        client = ManateeClient(url, plane.tokens["alice"])
        data = bytes(3_000_000)
        assert client.upload_bytes(data) == digest_bytes(data)
        job = plane.submit()
        plane.reconciler().settle()
        plane.approve(job)
        plane.reconciler().settle()
        assert plane.state(job) is JobState.RELEASED
        headers = {"authorization": f"Bearer {plane.tokens['alice']}"}
        address = f"{url}/v1/jobs/{job.id}/outputs"
        answer = httpx.get(address, headers=headers, trust_env=False)
        assert answer.content == OUTPUTS
        part = httpx.get(address, headers=headers | {"range": "bytes=2-5"}, trust_env=False)
        assert (part.status_code, part.content) == (206, OUTPUTS[2:6])
        client.close()
    kept = {key.rpartition("/")[2] for key in server.keys()}
    assert {digest_bytes(item).removeprefix("sha256:") for item in (data, OUTPUTS)} <= kept
    assert [path for path in (plane.folder / "store" / "blobs").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("fault", ["503", "403"])
def test_a_job_waits_for_a_bucket_that_fails_at_every_step_and_is_run_once(
    plane: ControlPlane, front: FaultyFront, fault: str
) -> None:
    job = plane.submit()
    front.always(fault)
    advance(plane, job)
    front.always(None)
    plane.reconciler().settle()
    assert plane.state(job) is JobState.AWAITING_APPROVAL
    plane.approve(job)
    front.always(fault)
    advance(plane, job)
    assert plane.place.launches == []
    front.always(None)
    # now it begins to fail when the guest has ended and its outputs are to be kept
    failing = plane.reconciler(
        after_step=lambda point: front.always(fault) if point == "after collect" else None
    )
    with pytest.raises(StoreError):
        failing.settle()
    assert plane.store.jobs.get(job.id).outputs_digest is None
    assert not plane.store.jobs.get(job.id).terminal
    front.always(None)
    plane.clock.put_forward(60)
    plane.reconciler().settle()
    assert plane.state(job) is JobState.RELEASED
    assert plane.store.blobs.read(digest_bytes(OUTPUTS)) == OUTPUTS
    assert len(plane.place.launches) == 1


def test_a_job_whose_input_is_damaged_fails_with_that_reason(
    plane: ControlPlane, front: FaultyFront
) -> None:
    job = plane.submit()
    front.always("flip")
    plane.reconciler().settle()
    job = plane.store.jobs.get(job.id)
    assert job.terminal
    assert job.reason_code == DamagedBlobError.code


def test_uploads_and_downloads_say_what_is_wrong_with_the_bucket(
    plane: ControlPlane, front: FaultyFront
) -> None:
    app = create_app(plane.store, plane.settings, plane.clock, runtimes=[RUNTIME])
    with serve_in_thread(app) as url:
        headers = {"authorization": f"Bearer {plane.tokens['alice']}"}
        with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=60) as client:
            for fault, code, status in (("503", "store", 503), ("403", "store-refused", 503)):
                front.always(fault)
                data = fault.encode()
                put = client.put(f"/v1/blobs/{digest_bytes(data)}", content=data)
                got = client.get("/v1/datasets/insurance/twin/t.parquet")
                for answer in (put, got):
                    assert (answer.status_code, answer.json()["code"]) == (status, code)
                    assert answer.json()["hint"]
                    assert "AKIDEXAMPLE" not in answer.text
                assert plane.store.blobs.find(digest_bytes(data)) is None
            front.always("flip")
            got = client.get("/v1/datasets/insurance/twin/t.parquet")
            assert (got.status_code, got.json()["code"]) == (500, "damaged-blob")


def test_a_service_is_not_started_on_a_bucket_that_refuses_it(
    plane: ControlPlane, front: FaultyFront
) -> None:
    front.always("403")
    with pytest.raises(StoreRefusedError):
        look_for_blobs(plane.store)
    front.always("503")
    look_for_blobs(plane.store)  # it may come back: the service starts and says 503 meanwhile
