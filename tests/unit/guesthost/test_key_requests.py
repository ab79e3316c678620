"""A guest's request for keys leaves the host once it is recorded, once per broker."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from manatee.backends import GuestState
from manatee.backends._guest_folder import GuestFolder
from manatee.errors import BrokerUnreachableError, ConflictError, NotFoundError
from manatee.guesthost._key_requests import KeyRequestGate
from manatee.guesthost._relay import BrokerRelay
from manatee.records import (
    KeyRequest,
    ReleaseAnswer,
    canonical_json,
    digest_bytes,
    to_base64,
)


class Broker:
    """A key broker that answers what it is told, and counts who asked."""

    def __init__(self) -> None:
        self.status, self.body = 200, b"{}"
        self.asked: list[bytes] = []
        broker = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                broker.asked.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(broker.status)
                self.send_header("Content-Length", str(len(broker.body)))
                self.end_headers()
                self.wfile.write(broker.body)

            def log_message(self, *args: object) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,)).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def broker() -> Iterator[Broker]:
    made = Broker()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def folder(tmp_path: Path) -> GuestFolder:
    return GuestFolder(tmp_path)


def gate(folder: GuestFolder, url: str, patience: float = 30) -> KeyRequestGate:
    relay = BrokerRelay({"clinic": url}, timeout=5)
    return KeyRequestGate(folder, relay, frozenset({"clinic"}), patience_seconds=patience)


def requests(folder: GuestFolder) -> tuple[KeyRequest, ...]:
    return folder.status(GuestState.RUNNING).keys


def until_asked(folder: GuestFolder) -> None:
    give_up = time.monotonic() + 20
    while not requests(folder):
        assert time.monotonic() < give_up
        time.sleep(0.005)


def test_a_request_waits_until_it_is_allowed(folder: GuestFolder, broker: Broker) -> None:
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(gate(folder, broker.url).release, "clinic", b"sealed")
        until_asked(folder)
        time.sleep(0.2)
        assert broker.asked == []
        assert requests(folder) == (KeyRequest(broker_id="clinic"),)
        folder.allow_key_request("clinic")
        assert answer.result(20).status == 200
    assert broker.asked == [b"sealed"]


def test_a_second_request_to_a_broker_does_not_go_out(folder: GuestFolder, broker: Broker) -> None:
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(gate(folder, broker.url).release, "clinic", b"first")
        until_asked(folder)
        folder.allow_key_request("clinic")
        first.result(20)
    with pytest.raises(ConflictError):
        gate(folder, broker.url).release("clinic", b"second")
    assert broker.asked == [b"first"]


@pytest.mark.parametrize("broker_id", ["stranger", "../../clinic"])
def test_a_broker_that_the_job_does_not_have_leaves_no_trace(
    folder: GuestFolder, broker: Broker, broker_id: str
) -> None:
    with pytest.raises(NotFoundError):
        gate(folder, broker.url).release(broker_id, b"")
    assert list(folder.path.iterdir()) == []


def test_nobody_allows_what_was_not_asked(folder: GuestFolder) -> None:
    folder.allow_key_request("clinic")
    assert folder.note_key_request("clinic")
    assert not folder.key_request_allowed("clinic")


def test_without_a_service_no_key_is_asked_for(folder: GuestFolder, broker: Broker) -> None:
    with pytest.raises(BrokerUnreachableError, match="did not record"):
        gate(folder, broker.url, patience=0.1).release("clinic", b"")
    assert broker.asked == []
    assert requests(folder) == (KeyRequest(broker_id="clinic"),)


@pytest.mark.parametrize("allowed", [False, True])
def test_a_guest_that_is_cancelled_asks_nobody_any_more(
    folder: GuestFolder, broker: Broker, allowed: bool
) -> None:
    folder.cancel_file.touch()
    if allowed:
        (folder.path / "keys").mkdir()
        (folder.path / "keys" / "clinic.allowed").touch()
    with pytest.raises(BrokerUnreachableError, match="cancelled"):
        gate(folder, broker.url).release("clinic", b"")
    assert broker.asked == []


def ask(folder: GuestFolder, url: str) -> KeyRequest:
    """Ask, be allowed to, and return what was noted before the guest had its answer."""
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(gate(folder, url).release, "clinic", b"")
        until_asked(folder)
        folder.allow_key_request("clinic")
        try:
            answer.result(20)
        except BrokerUnreachableError:
            pass
    return requests(folder)[0]


def test_a_release_is_noted_with_the_entry_of_the_brokers_log(
    folder: GuestFolder, broker: Broker
) -> None:
    entry = b'{"outcome":"released"}'
    broker.body = canonical_json(
        ReleaseAnswer(
            broker_id="clinic",
            keys=(),
            tier="simulated",
            decided_at="2026-01-01T00:00:00Z",
            insecure_settings=(),
            decision=to_base64(entry),
            log_proof="",
        )
    )
    noted = ask(folder, broker.url)
    assert noted == KeyRequest(broker_id="clinic", answer="released", decision=digest_bytes(entry))


@pytest.mark.parametrize("body", [b"", b"[", b"{}", b'{"decision": "' + b"A" * 70_000])
def test_a_release_that_does_not_parse_is_noted_all_the_same(
    folder: GuestFolder, broker: Broker, body: bytes
) -> None:
    broker.body = body
    assert ask(folder, broker.url) == KeyRequest(broker_id="clinic", answer="released")


@pytest.mark.parametrize(
    ("status", "word"), [(403, "denied"), (422, "denied"), (503, "failed"), (500, "failed")]
)
def test_a_refusal_is_noted(folder: GuestFolder, broker: Broker, status: int, word: str) -> None:
    broker.status = status
    assert ask(folder, broker.url).answer == word


def test_a_broker_that_was_not_reached_has_answered_nothing(folder: GuestFolder) -> None:
    assert ask(folder, "http://127.0.0.1:9") == KeyRequest(broker_id="clinic")
