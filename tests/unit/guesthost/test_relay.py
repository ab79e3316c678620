"""The relay passes bytes on, and only to the brokers of its job."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator

import pytest

from manatee.errors import BrokerUnreachableError, NotFoundError
from manatee.guesthost._relay import MAX_RELAYED_BYTES, BrokerRelay


class _Broker(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        big = self.path.endswith("/release")
        answer = bytes(MAX_RELAYED_BYTES + 1) if big else self.path.encode() + b" " + body
        self.send_response(418)
        self.send_header("Content-Type", "application/problem+json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        try:
            self.wfile.write(answer)
        except ConnectionError:
            pass  # the relay hung up, as it should

    def log_message(self, *args: object) -> None: ...


@pytest.fixture
def broker() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Broker)
    threading.Thread(target=server.serve_forever, args=(0.01,)).start()
    yield f"http://127.0.0.1:{server.server_port}/prefix/"
    server.shutdown()
    server.server_close()


def test_status_and_body_pass_through_unchanged(broker: str) -> None:
    answer = BrokerRelay({"clinic": broker}).post("clinic", "challenge", b"sealed")
    assert (answer.status, answer.body) == (418, b"/prefix/v1/challenge sealed")
    assert answer.media_type == "application/problem+json"


def test_an_oversized_answer_is_not_passed_on(broker: str) -> None:
    with pytest.raises(BrokerUnreachableError, match="too much"):
        BrokerRelay({"clinic": broker}).post("clinic", "release", b"")


def test_an_unknown_broker_is_not_looked_up() -> None:
    with pytest.raises(NotFoundError):
        BrokerRelay({"clinic": "http://127.0.0.1:9"}).post("127.0.0.1:22", "challenge", b"")


def test_a_broker_that_does_not_answer_is_worth_a_retry() -> None:
    with pytest.raises(BrokerUnreachableError) as caught:
        BrokerRelay({"clinic": "http://127.0.0.1:9"}).post("clinic", "challenge", b"")
    assert caught.value.retryable


def test_a_silent_broker_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        relay = BrokerRelay({"clinic": f"http://127.0.0.1:{silent.getsockname()[1]}"}, timeout=0.05)
        with pytest.raises(BrokerUnreachableError):
            relay.post("clinic", "challenge", b"")
