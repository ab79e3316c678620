"""The broker over HTTP, under a real server on loopback."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import uvicorn

from manatee.keybroker import KeyBroker, asgi_app
from manatee.records import ReleaseAnswer, canonical_json, read_record
from manatee.testing import Installation


class Server(uvicorn.Server):
    def install_signal_handlers(self) -> None:
        """Leave the test runner's alone."""


@pytest.fixture
def broker(place: Installation) -> KeyBroker:
    return place.broker()


@pytest.fixture
def port(broker: KeyBroker) -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(asgi_app(broker), log_level="critical", lifespan="on", http="h11")
    server = Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join()
    listener.close()


def send(port: int, method: str, path: str, body: bytes = b"") -> tuple[int, str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body=body)
        response = connection.getresponse()
        data = response.read()
        return response.status, response.headers["content-type"], json.loads(data)
    finally:
        connection.close()


def test_a_guest_gets_its_key_over_http(place: Installation, broker: KeyBroker, port: int) -> None:
    body = canonical_json({"kind": "simulated", "job_digest": place.job_digest})
    status, media_type, challenge = send(port, "POST", "/v1/challenge", body)
    assert (status, media_type) == (200, "application/json")
    assert challenge["broker_id"] == broker.broker_id
    asked = place.ask(broker)
    status, media_type, answer = send(port, "POST", "/v1/release", asked.body())
    assert (status, media_type) == (200, "application/json")
    record = read_record(canonical_json(answer), ReleaseAnswer, what="answer")
    assert place.open_keys(asked, record) == [place.data_key]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("POST", "/v1/release/", 404),
        ("POST", "/v1/keys", 404),
        ("POST", "/v1/../v1/release", 404),
        ("GET", "/v1/release", 405),
        ("PUT", "/v1/challenge", 405),
        ("DELETE", "/v1/release", 405),
        ("POST", "/healthz", 404),
    ],
)
def test_there_are_two_routes(port: int, method: str, path: str, status: int) -> None:
    found, media_type, body = send(port, method, path, b"{}" if method == "POST" else b"")
    assert (found, media_type) == (status, "application/problem+json")
    assert body["status"] == status


def test_health_says_that_it_runs_and_nothing_else(port: int) -> None:
    assert send(port, "GET", "/healthz") == (200, "application/json", {"status": "ok"})


@pytest.mark.parametrize("path", ["/v1/challenge", "/v1/release"])
@pytest.mark.parametrize("body", [b"", b"null", b"\xff", b"[" * 1000, b'{"a":1,"a":1}'])
def test_what_is_no_request_is_malformed(port: int, path: str, body: bytes) -> None:
    status, media_type, problem = send(port, "POST", path, body)
    assert (status, media_type) == (422, "application/problem+json")
    assert problem["code"] == "malformed"


def test_an_oversized_body_is_refused_before_it_is_read_whole(port: int) -> None:
    head = b"POST /v1/release HTTP/1.1\r\nHost: x\r\nContent-Length: 1099511627776\r\n\r\n"
    sent = 0
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head)
        try:
            while sent < 64 << 20:
                sent += connection.send(bytes(1 << 16))
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server had answered and hung up
    assert sent < 64 << 20
    assert send(port, "GET", "/healthz")[0] == 200


def test_a_body_just_over_the_cap_is_too_large(port: int) -> None:
    status, _, problem = send(port, "POST", "/v1/release", b" " * ((1 << 20) + 1))
    assert (status, problem["code"]) == (413, "too-large")


def test_a_truncated_body_consumes_nothing_and_the_broker_goes_on(
    place: Installation, broker: KeyBroker, port: int
) -> None:
    asked = place.ask(broker)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        head = (
            f"POST /v1/release HTTP/1.1\r\nHost: x\r\nContent-Length: {len(asked.body())}\r\n\r\n"
        )
        connection.sendall(head.encode() + asked.body()[:-10])
    assert send(port, "GET", "/healthz")[0] == 200
    assert broker._store.decisions() == []
    assert send(port, "POST", "/v1/release", asked.body())[0] == 200


def test_a_refusal_names_its_check_and_reveals_nothing_of_the_policy(
    place: Installation, broker: KeyBroker, port: int
) -> None:
    asked = place.ask(broker)
    status, media_type, problem = send(port, "POST", "/v1/release", asked.changed(approvals=()))
    assert (status, media_type) == (403, "application/problem+json")
    assert problem == {
        "type": "about:blank",
        "title": "KeyDeniedError",
        "status": 403,
        "code": "key-denied",
        "check": "approvals",
        "detail": "The key broker refused at check `approvals`.",
        "hint": "The data provider finds the reason in the broker's decision log.",
    }


def test_challenges_and_releases_at_once_do_not_mix(
    place: Installation, broker: KeyBroker, port: int
) -> None:
    asked = [place.ask(broker) for _ in range(8)]
    challenge = canonical_json({"kind": "simulated", "job_digest": place.job_digest})
    with ThreadPoolExecutor(8) as pool:
        released = [pool.submit(send, port, "POST", "/v1/release", each.body()) for each in asked]
        challenged = [pool.submit(send, port, "POST", "/v1/challenge", challenge) for _ in range(8)]
        statuses = sorted(future.result()[0] for future in released)
        nonces = {future.result()[2]["nonce"] for future in challenged}
    assert statuses == [200] + [403] * 7
    assert len(nonces) == 8
    assert len(broker._store.decisions()) == 8
