"""API tokens over HTTP: what they are for, for how long, and how they end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from manatee._clock import timestamp
from manatee.api import create_app, serve_in_thread
from manatee.records import canonical_json
from manatee.rights import SCOPE_OF, Action
from manatee.testing import ControlPlane
from manatee.testing._control_plane import RUNTIME


class Service:
    def __init__(self, plane: ControlPlane, url: str) -> None:
        self.plane = plane
        self.http = httpx.Client(base_url=url, trust_env=False, timeout=20)

    def ask(self, token: str, method: str, path: str, body: object = None) -> httpx.Response:
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        content = None if body is None else canonical_json(body)
        return self.http.request(method, path, content=content, headers=headers)

    def new(self, token: str, *scopes: str, days: float = 1, label: str = "ci") -> httpx.Response:
        until = timestamp(self.plane.clock() + timedelta(days=days))
        wanted = {"label": label, "scopes": scopes, "expires_at": until}
        return self.ask(token, "POST", "/v1/tokens", wanted)

    def listed(self, token: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask(token, "GET", "/v1/tokens").json()["tokens"]
        return found


@pytest.fixture
def service(tmp_path: Path, database_url: str) -> Iterator[Service]:
    plane = ControlPlane(tmp_path, database_url=database_url)
    app = create_app(plane.store, plane.settings, plane.clock, runtimes=[RUNTIME])
    with serve_in_thread(app) as url:
        made = Service(plane, url)
        yield made
        made.http.close()
    plane.store.close()


def test_a_person_makes_lists_and_revokes_a_token_of_less(service: Service) -> None:
    alice = service.plane.tokens["alice"]
    made = service.new(alice, "read", "submit")
    assert made.status_code == 201
    token, entry = made.json()["token"], made.json()["entry"]
    assert entry["scopes"] == ["read", "submit"]
    assert entry["label"] == "ci"
    assert "last_used_on" not in entry or entry["last_used_on"] is None
    assert service.ask(token, "GET", "/v1/whoami").json()["name"] == "alice"
    listed = {item["id"]: item for item in service.listed(alice)}
    assert listed[entry["id"]]["last_used_on"] == timestamp(service.plane.clock())[:10]
    assert token not in str(listed)
    assert service.ask(alice, "DELETE", f"/v1/tokens/{entry['id']}").status_code == 204
    assert service.ask(token, "GET", "/v1/whoami").status_code == 401
    assert service.ask(alice, "GET", "/v1/whoami").status_code == 200


def test_nobody_revokes_or_sees_another_persons_token(service: Service) -> None:
    alice, bob = service.plane.tokens["alice"], service.plane.tokens["bob"]
    entry = service.new(alice, "read").json()["entry"]
    assert service.ask(bob, "DELETE", f"/v1/tokens/{entry['id']}").status_code == 404
    assert entry["id"] not in {item["id"] for item in service.listed(bob)}
    assert entry["id"] in {item["id"] for item in service.listed(alice)}


def test_a_token_never_makes_one_that_may_do_more(service: Service) -> None:
    alice = service.plane.tokens["alice"]
    narrow = service.new(alice, "read").json()["token"]
    assert service.new(narrow, "read").status_code == 403  # it is not for making tokens
    assert service.new(alice, "read", "credentials").status_code == 403
    limited = service.plane.store.accounts.issue_token(
        "alice", expires_at=service.plane.clock() + timedelta(days=1), scopes=["credentials"]
    )
    answer = service.new(limited, "read")
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_a_token_does_no_more_than_its_scopes(service: Service) -> None:
    hospital = service.plane.tokens["hospital"]
    job = service.plane.submit()
    reader = service.new(hospital, "read").json()["token"]
    assert service.ask(reader, "GET", f"/v1/jobs/{job.id}").status_code == 200
    rejection = {"reason": "no"}
    refused = service.ask(reader, "POST", f"/v1/jobs/{job.id}/rejection", rejection)
    assert refused.status_code == 403
    assert "approve" in refused.json()["detail"]
    blind = service.new(hospital, "approve").json()["token"]
    assert service.ask(blind, "GET", f"/v1/jobs/{job.id}").status_code == 403
    assert service.ask(blind, "GET", "/v1/jobs").json()["jobs"] == []
    assert service.ask(blind, "GET", "/v1/datasets").json() == []
    assert (
        service.ask(blind, "POST", f"/v1/jobs/{job.id}/rejection", rejection).status_code == 409
    )  # its state


def test_a_scope_gives_nothing_that_the_memberships_do_not(service: Service) -> None:
    token = service.new(service.plane.tokens["alice"], "administer", "read").json()["token"]
    assert service.ask(token, "PUT", "/v1/organisations/mine").status_code == 403


def test_a_reader_uploads_nothing(service: Service) -> None:
    token = service.new(service.plane.tokens["alice"], "read").json()["token"]
    path = f"/v1/blobs/sha256:{'0' * 64}"
    assert service.ask(token, "PUT", path, {"a": 1}).status_code == 403


@pytest.mark.parametrize("token_id", ["%00", "x", "..%2F..", "0" * 5000])
def test_a_name_that_no_token_has_is_refused(service: Service, token_id: str) -> None:
    answer = service.ask(service.plane.tokens["alice"], "DELETE", f"/v1/tokens/{token_id}")
    assert answer.status_code in (404, 422)


@pytest.mark.parametrize("days", [-1, 0, 400])
def test_a_token_must_end_and_soon(service: Service, days: float) -> None:
    answer = service.new(service.plane.tokens["alice"], "read", days=days)
    assert answer.status_code == 422 or answer.json()["code"] == "malformed"


def test_a_token_ends_by_itself(service: Service) -> None:
    alice = service.plane.tokens["alice"]
    token = service.new(alice, "read", days=0.01).json()["token"]
    service.plane.clock.put_forward(0.02 * 86400)
    assert service.ask(token, "GET", "/v1/whoami").status_code == 401
    assert len(service.listed(alice)) == 1


def test_every_action_needs_a_scope_that_a_token_can_be_made_for() -> None:
    assert set(SCOPE_OF) == set(Action)
    assert "credentials" not in SCOPE_OF.values()
