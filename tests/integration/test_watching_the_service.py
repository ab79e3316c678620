"""What an operator's monitoring sees: alive, ready, and numbers that tell nothing of anybody."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from manatee.api import create_app, serve_in_thread
from manatee.testing import ControlPlane
from manatee.testing._control_plane import RUNTIME


@pytest.fixture
def plane(tmp_path: Path, database_url: str) -> Iterator[ControlPlane]:
    made = ControlPlane(tmp_path, database_url=database_url)
    yield made
    made.store.close()


@pytest.fixture
def service(plane: ControlPlane) -> Iterator[httpx.Client]:
    app = create_app(plane.store, plane.settings, plane.clock, runtimes=[RUNTIME])
    with serve_in_thread(app) as url, httpx.Client(base_url=url, trust_env=False) as client:
        yield client


def scraped(service: httpx.Client, plane: ControlPlane, who: str = "olga") -> dict[str, float]:
    answer = service.get("/metrics", headers={"authorization": f"Bearer {plane.tokens[who]}"})
    assert answer.status_code == 200
    return {
        ",".join([sample.name, *map(str, sample.labels.values())]): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_jobs_are_counted_by_state(service: httpx.Client, plane: ControlPlane) -> None:
    for number in (1, 2):
        plane.submit(submission=number)
    found = scraped(service, plane)
    assert found["manatee_jobs,created"] == 2
    assert found["manatee_jobs,released"] == 0


def test_requests_are_counted_by_route_and_never_by_what_a_caller_made_up(
    service: httpx.Client, plane: ControlPlane
) -> None:
    job = plane.submit()
    token = {"authorization": f"Bearer {plane.tokens['alice']}"}
    service.get(f"/v1/jobs/{job.id}", headers=token)
    service.get("/v1/jobs/job-0000000000000000", headers=token)
    service.get("/secret-CANARY")
    service.request("CANARY", "/healthz")
    found = scraped(service, plane)
    assert found["manatee_http_requests_total,GET,/v1/jobs/{job_id},200"] == 1
    assert found["manatee_http_requests_total,GET,/v1/jobs/{job_id},404"] == 1
    everything = " ".join(found)
    for private in ("CANARY", job.id, "alice", "insurance", "hospital"):
        assert private not in everything


@pytest.mark.parametrize(
    ("who", "status"),
    [("olga", 200), ("carol", 200), ("alice", 403), ("hospital", 403), (None, 401)],
)
def test_only_operators_and_auditors_see_the_metrics(
    service: httpx.Client, plane: ControlPlane, who: str | None, status: int
) -> None:
    headers = {"authorization": f"Bearer {plane.tokens[who]}"} if who else {}
    assert service.get("/metrics", headers=headers).status_code == status


def test_a_service_without_its_database_is_alive_and_not_ready(
    service: httpx.Client, plane: ControlPlane
) -> None:
    assert service.get("/readyz").json() == {"status": "ready"}
    with plane.store.database.connection() as connection:
        connection.execute(text("ALTER TABLE jobs RENAME TO elsewhere"))
    answer = service.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["code"] == "store"
    assert service.get("/healthz").status_code == 200


def test_a_service_that_cannot_take_uploads_is_not_ready(
    service: httpx.Client, plane: ControlPlane
) -> None:
    incoming = plane.store.blobs.incoming
    os.rename(incoming, incoming.with_name("gone"))
    assert service.get("/readyz").status_code == 503
