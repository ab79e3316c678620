"""Attacks on the broker's own steps: races for counted things, slow bodies, leaking errors."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from manatee.errors import BackendError, KeyDeniedError, ManateeError, StoreError
from manatee.keybroker import KeyBroker, _http, asgi_app
from manatee.keybroker._http import problem
from manatee.records import DatasetManifest, parse_json
from manatee.testing import Installation


def outcome(broker: KeyBroker, body: bytes) -> str:
    try:
        broker.release(body)
    except KeyDeniedError as error:
        return error.check
    return "released"


def submitted(place: Installation, number: int) -> None:
    place.manifest = msgspec.structs.replace(place.manifest, submission=number)


def test_jobs_that_race_for_the_last_use_get_one_key(
    place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    cedar = place.policy_document().cedar
    limited = cedar.rstrip().removesuffix("};").rstrip() + " &&\n  context.earlier_uses < 1\n};\n"
    broker = place.broker(policy=place.policy(cedar=limited))
    bodies = []
    for number in (1, 2):
        submitted(place, number)
        bodies.append(place.ask(broker).body())
    both = threading.Barrier(2)
    seal = broker._seal

    def together(*arguments: Any, **options: Any) -> Any:
        both.wait(20)  # both passed the policy before either was granted
        return seal(*arguments, **options)

    monkeypatch.setattr(broker, "_seal", together)
    with ThreadPoolExecutor(2) as pool:
        found = sorted(pool.map(lambda body: outcome(broker, body), bodies))
    assert found == ["released", "uses"]


class Watched:
    """A budget that remembers the order it was called in."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def left(self, datasets: tuple[DatasetManifest, ...]) -> dict[str, int]:
        return {}

    def reserve(
        self, job_digest: str, datasets: tuple[DatasetManifest, ...], *, twin_report: bool
    ) -> None:
        self.said.append("reserve")

    def commit(self, job_digest: str) -> None:
        self.said.append("commit")

    def cancel(self, job_digest: str) -> None:
        self.said.append("cancel")


def test_a_second_request_cannot_give_back_the_budget_of_the_first(
    place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = place.broker()
    budget = broker._budget = Watched()
    bodies = [place.ask(broker).body() for _ in range(2)]
    granted, go_on = threading.Event(), threading.Event()
    grant = broker._store.grant

    def slowly(*arguments: Any, **options: Any) -> Any:
        logged = grant(*arguments, **options)
        granted.set()
        go_on.wait(0.5)  # granted, and not committed yet
        return logged

    monkeypatch.setattr(broker._store, "grant", slowly)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(outcome, broker, bodies[0])
        assert granted.wait(20)
        second = pool.submit(outcome, broker, bodies[1])
        assert (first.result(), second.result()) == ("released", "grant")
    assert budget.said == ["reserve", "commit", "reserve", "cancel"]


class Broken(Watched):
    def left(self, datasets: tuple[DatasetManifest, ...]) -> dict[str, int]:
        raise BackendError("the accountant at /srv/secret-place is away.")


def test_an_error_nobody_foresaw_is_a_logged_refusal_and_says_nothing_outside(
    place: Installation,
) -> None:
    broker = place.broker()
    broker._budget = Broken()
    with pytest.raises(KeyDeniedError) as error:
        broker.release(place.ask(broker).body())
    assert error.value.check == "internal"
    _status, body = problem(error.value)
    assert b"secret-place" not in body
    entry = broker._store.decisions()[-1]
    assert parse_json(entry.body)["check"] == "internal"
    assert "secret-place" in broker._store.reasons()[entry.seq]


def test_an_answer_over_http_names_no_file_of_the_broker() -> None:
    error = StoreError("the state failed.", hint="see /srv/broker/log/tile/0/000")
    assert b"/srv" not in problem(error)[1]


def exchange(app: Any, receive: Any) -> tuple[int, dict[str, Any]]:
    """Send one request whose body comes from `receive`."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/release"}
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"])


def test_a_body_that_never_ends_is_given_up(
    place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_http, "BODY_SECONDS", 0.05)

    async def trickle() -> Any:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b" ", "more_body": True}

    status, body = exchange(asgi_app(place.broker()), trickle)
    assert status == 422
    assert "in time" in body["detail"]


def test_more_requests_at_one_time_than_memory_is_set_aside_for_are_turned_away(
    place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_http, "MAX_REQUESTS_IN_HAND", 3)
    app = asgi_app(place.broker())
    statuses: list[int] = []

    async def story() -> None:
        ready = asyncio.Event()

        async def waits() -> Any:
            await ready.wait()
            return {"type": "http.request", "body": b"{}"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        scope = {"type": "http", "method": "POST", "path": "/v1/release"}
        held = [asyncio.ensure_future(app(scope, waits, send)) for _ in range(3)]
        await asyncio.sleep(0)
        await app(scope, waits, send)
        assert statuses == [429]
        ready.set()
        await asyncio.gather(*held)
        await app(scope, waits, send)

    asyncio.run(story())
    assert statuses == [429, 422, 422, 422, 422]


def test_only_errors_of_ours_leave_a_release(place: Installation) -> None:
    broker = place.broker()
    for body in (b"", b"[" * 100_000, b'{"nonce":1e999}', b"\xff\xfe", b"null", b'{"a":1,"a":2}'):
        with pytest.raises(ManateeError):
            broker.release(body)


def test_a_state_that_cannot_be_written_is_no_refusal_of_the_guest(
    place: Installation, tmp_path: Path
) -> None:
    broker = place.broker()
    body = place.ask(broker).body()
    broker._store.close()
    with pytest.raises(StoreError):
        broker.release(body)
