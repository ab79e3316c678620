"""A witness answers as C2SP tlog-witness says, forgets nothing, and is asked with suspicion."""

from __future__ import annotations

import asyncio
import http.client
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from manatee._clock import monotonic
from manatee.api import serve_in_thread
from manatee.errors import MalformedError, ServiceUnreachableError, SettingsError, StoreError
from manatee.ledger import (
    COSIGNATURE,
    ED25519,
    EMPTY_ROOT,
    Checkpoint,
    EntryLog,
    Ledger,
    NoteSignature,
    NoteSigner,
    Witness,
    WitnessAddress,
    collect_cosignatures,
    cosign,
    create_log,
    new_signer,
    parse_checkpoint,
    parse_signatures,
    parse_witnesses,
    sign_checkpoint,
    verify_cosignature,
    witness_app,
)
from manatee.ledger._sources import request as ask
from manatee.ledger._storage import LogFolder
from manatee.ledger._witness import MAX_REQUEST_BYTES
from manatee.records import to_base64

LOG = new_signer("example.org/log", ED25519)
OTHER = new_signer("example.org/other", ED25519)
KEY = new_signer("witness.example", COSIGNATURE)
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    create_log(tmp_path / "log", LOG)
    with Ledger.open(tmp_path / "log", LOG) as opened:
        opened.append([b"entry %d" % number for number in range(5)])
        yield opened


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return witness_in(tmp_path / "witness")


def witness_in(folder: Path, key: Any = KEY) -> Witness:
    return Witness(folder, key, {LOG.name: LOG.key, OTHER.name: OTHER.key}, lambda: NOW)


def body(ledger: Ledger, old: int) -> bytes:
    size = ledger.checkpoint().checkpoint.size
    proof = ledger.reader.consistency(old, size)
    return "\n".join([f"old {old}", *map(to_base64, proof), "", ""]).encode() + (
        ledger.checkpoint().encode()
    )


def signed(size: int, root: bytes, signer: Any = LOG) -> bytes:
    return sign_checkpoint(Checkpoint(signer.name, size, root), signer).encode()


# --- each status by its own request ---------------------------------------------------------------


def test_200_is_one_cosignature_line_that_holds(ledger: Ledger, witness: Witness) -> None:
    answer = witness.add_checkpoint(body(ledger, 0))
    assert answer.status == 200
    assert answer.body.count(b"\n") == 1
    (line,) = parse_signatures(answer.body.decode().removesuffix("\n").split("\n"))
    found = ledger.checkpoint().with_signatures((line,))
    assert verify_cosignature(found, KEY.key) == int(NOW.timestamp())


def test_400_when_the_old_size_is_the_larger(witness: Witness) -> None:
    answer = witness.add_checkpoint(b"old 6\n\n" + signed(5, bytes(32)))
    assert (answer.status, b"larger" in answer.body) == (400, True)


def test_403_when_the_log_s_signature_does_not_hold(ledger: Ledger, witness: Witness) -> None:
    forger = new_signer(LOG.name, ED25519)
    assert witness.add_checkpoint(b"old 0\n\n" + signed(5, bytes(32), forger)).status == 403
    genuine = ledger.checkpoint()
    line = genuine.note.signatures[0]
    bad = NoteSignature(line.name, line.key_id, bytes(64)).line().encode()
    text = genuine.note.text.encode()
    assert witness.add_checkpoint(b"old 0\n\n" + text + b"\n" + bad).status == 403


def test_404_when_it_does_not_watch_the_log(witness: Witness) -> None:
    stranger = new_signer("example.org/stranger", ED25519)
    assert witness.add_checkpoint(b"old 0\n\n" + signed(0, EMPTY_ROOT, stranger)).status == 404


def test_409_names_the_size_it_knows(ledger: Ledger, witness: Witness) -> None:
    first = witness.add_checkpoint(body(ledger, 2))
    assert (first.status, first.body, first.media_type) == (409, b"0\n", "text/x.tlog.size")
    assert witness.add_checkpoint(body(ledger, 0)).status == 200
    assert witness.add_checkpoint(body(ledger, 2)).body == b"5\n"


def test_409_comes_before_422_so_that_a_stale_log_can_catch_up(witness: Witness) -> None:
    nonsense = b"old 3\n" + to_base64(bytes(32)).encode() + b"\n\n" + signed(5, bytes(32))
    assert witness.add_checkpoint(nonsense).status == 409


@pytest.mark.parametrize("old_proof", [b"old 0\n" + to_base64(bytes(32)).encode() + b"\n\n"])
def test_422_when_a_proof_stands_where_none_is_needed(witness: Witness, old_proof: bytes) -> None:
    assert witness.add_checkpoint(old_proof + signed(5, bytes(32))).status == 422


def test_422_for_a_fork_of_the_same_size_and_of_a_larger(ledger: Ledger, witness: Witness) -> None:
    assert witness.add_checkpoint(body(ledger, 0)).status == 200
    ledger.append([b"more"])
    proof = body(ledger, 5).partition(b"\n\n")[0]
    assert witness.add_checkpoint(b"old 5\n\n" + signed(5, bytes(32))).status == 422
    assert witness.add_checkpoint(proof + b"\n\n" + signed(6, bytes(32))).status == 422
    assert witness.add_checkpoint(body(ledger, 5)).status == 200  # and nothing was disturbed


def test_an_empty_tree_with_another_root_is_no_checkpoint(witness: Witness) -> None:
    assert witness.add_checkpoint(b"old 0\n\n" + signed(0, bytes(32))).status == 400
    assert witness.add_checkpoint(b"old 0\n\n" + signed(0, EMPTY_ROOT)).status == 200


# --- memory ---------------------------------------------------------------------------------------


def test_it_remembers_before_the_cosignature_leaves(
    ledger: Ledger, tmp_path: Path, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = LogFolder.write
    monkeypatch.setattr(LogFolder, "write", _no_room)
    with pytest.raises(StoreError):
        witness.add_checkpoint(body(ledger, 0))
    monkeypatch.setattr(LogFolder, "write", genuine)
    assert witness.add_checkpoint(body(ledger, 0)).status == 200
    assert witness_in(tmp_path / "witness").add_checkpoint(body(ledger, 0)).body == b"5\n"


def _no_room(self: LogFolder, name: str, data: bytes) -> None:
    raise StoreError("no room")


@pytest.mark.parametrize("memory", [b"", b"garbage", b"\xff" * 70_000, signed(5, bytes(32), OTHER)])
def test_memory_that_cannot_be_read_or_is_another_log_s_signs_nothing(
    ledger: Ledger, tmp_path: Path, witness: Witness, memory: bytes
) -> None:
    witness.add_checkpoint(body(ledger, 0))
    (file,) = (tmp_path / "witness").glob("*.checkpoint")
    file.write_bytes(memory)
    with pytest.raises(StoreError, match="remembers"):
        witness.add_checkpoint(body(ledger, 5))


def test_a_place_without_room_for_memory_is_a_store_error(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError):
        witness_in(tmp_path / "file" / "witness").add_checkpoint(body(ledger, 0))


def test_its_memory_is_its_owner_s_alone(ledger: Ledger, tmp_path: Path, witness: Witness) -> None:
    witness.add_checkpoint(body(ledger, 0))
    assert (tmp_path / "witness").stat().st_mode & 0o077 == 0


def test_a_log_s_key_is_no_witness_s(tmp_path: Path) -> None:
    with pytest.raises(MalformedError):
        witness_in(tmp_path / "witness", LOG)


def test_two_processes_worth_of_witness_cosign_one_of_two_rival_trees(
    ledger: Ledger, tmp_path: Path
) -> None:
    rivals = [body(ledger, 0), b"old 0\n\n" + signed(5, bytes(32))]
    witnesses = [witness_in(tmp_path / "witness") for _ in range(8)]
    ready, answers = threading.Barrier(8), []

    def race(number: int) -> None:
        ready.wait()
        answers.append(witnesses[number].add_checkpoint(rivals[number % 2]).status)

    threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] + [409] * 7


def test_a_second_request_waits_until_the_first_is_remembered(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = witness_in(tmp_path / "witness"), witness_in(tmp_path / "witness")
    rival = b"old 0\n\n" + signed(5, bytes(32))
    genuine, answers = LogFolder.write, []
    asking = threading.Thread(target=lambda: answers.append(second.add_checkpoint(rival).status))

    def overtaken(self: LogFolder, name: str, data: bytes) -> None:
        monkeypatch.setattr(LogFolder, "write", genuine)
        asking.start()
        asking.join(0.3)  # between looking and remembering, the other must get nowhere
        assert not answers
        genuine(self, name, data)

    monkeypatch.setattr(LogFolder, "write", overtaken)
    assert first.add_checkpoint(body(ledger, 0)).status == 200
    asking.join(20)
    assert answers == [409]


def test_each_request_syncs_its_own_writes_whatever_other_logs_do(
    ledger: Ledger, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[LogFolder] = []
    genuine = LogFolder.sync
    monkeypatch.setattr(LogFolder, "sync", lambda self: (synced.append(self), genuine(self))[1])
    assert witness.add_checkpoint(body(ledger, 0)).status == 200
    assert witness.add_checkpoint(b"old 0\n\n" + signed(0, EMPTY_ROOT, OTHER)).status == 200
    assert synced[0] is not synced[1]


# --- over HTTP ------------------------------------------------------------------------------------


def test_the_service_has_one_route_and_a_cap(ledger: Ledger, witness: Witness) -> None:
    with serve_in_thread(witness_app(witness)) as url:
        host = url.removeprefix("http://")

        def send(method: str, path: str, data: bytes | None = None) -> int:
            connection = http.client.HTTPConnection(host, timeout=10)
            try:
                connection.request(method, path, data)
                return connection.getresponse().status
            finally:
                connection.close()

        assert send("GET", "/healthz") == 200
        assert send("GET", "/add-checkpoint") == 405
        assert send("POST", "/elsewhere", b"") == 404
        assert send("POST", "/add-checkpoint", b"") == 400
        assert send("POST", "/add-checkpoint", bytes(MAX_REQUEST_BYTES + 1)) == 413
        assert send("POST", "/add-checkpoint", body(ledger, 0)) == 200


def test_a_witness_that_cannot_remember_answers_with_an_error(
    ledger: Ledger, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    app = witness_app(witness_in(tmp_path / "file" / "witness"))
    with serve_in_thread(app) as url:
        problems = collect_cosignatures(ledger, [WitnessAddress(url, KEY.key)], timeout=10)
    assert "answered 5" in problems["witness.example"]


def answering(data: bytes, *, status: int = 200, media_type: bytes = b"text/plain") -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", media_type)]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": data})

    return app


async def trickling(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while (await receive()).get("more_body", False):
        pass  # the request is read to its end; what comes next is that the client has left
    gone = asyncio.ensure_future(receive())
    while not gone.done():
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await asyncio.wait({gone}, timeout=0.05)


def size_answer(text: bytes) -> Any:
    return answering(text, status=409, media_type=b"text/x.tlog.size")


@contextmanager
def addresses(*apps: Any, keys: list[NoteSigner]) -> Iterator[list[WitnessAddress]]:
    with ExitStack() as stack:
        yield [
            WitnessAddress(stack.enter_context(serve_in_thread(app)), key.key)
            for app, key in zip(apps, keys, strict=True)
        ]


def test_no_lie_of_one_witness_costs_another_its_cosignature(
    ledger: Ledger, witness: Witness
) -> None:
    keys = [new_signer(f"w{number}.example", COSIGNATURE) for number in range(13)]
    foreign = cosign(ledger.checkpoint(), new_signer("w0.example", COSIGNATURE), moment=1)
    genuine = cosign(ledger.checkpoint(), keys[11], moment=1)
    nothing = NoteSignature(genuine.name, genuine.key_id, bytes(len(genuine.data)))
    older = sign_checkpoint(Checkpoint(LOG.name, 4, bytes(32)), LOG)
    lies = [
        answering(foreign.line().encode()),  # its name, another's key
        answering(b"\xff\xfe"),
        answering(b""),
        answering(b"x" * (1 << 20)),
        answering(b"gone", status=500),
        size_answer(b"6\n"),  # larger than the log
        size_answer(b"05\n"),
        size_answer(b"9" * 5000 + b"\n"),
        size_answer(b"2\n"),  # the same answer to the second request
        answering(b"5\n", status=409),
        answering(b"", status=302),
        answering(nothing.line().encode()),  # its key, and a signature of zeroes
        answering(cosign(older, keys[12], moment=1).line().encode()),  # of another tree
    ]
    with addresses(*lies, keys=keys) as liars, serve_in_thread(witness_app(witness)) as url:
        asked = [*liars, WitnessAddress("http://127.0.0.1:1", new_signer("w", COSIGNATURE).key)]
        problems = collect_cosignatures(ledger, [*asked, WitnessAddress(url, KEY.key)], timeout=10)
    assert set(problems) == {item.key.name for item in asked}
    assert "larger tree" in problems["w5.example"]
    assert "does not hold" in problems["w11.example"]
    assert "does not hold" in problems["w12.example"]
    published = parse_checkpoint(ledger.reader._read("checkpoint"))
    assert verify_cosignature(published, KEY.key) == int(NOW.timestamp())
    assert len(published.note.signatures) == 2


def test_a_witness_that_trickles_is_left_when_its_time_is_up(ledger: Ledger) -> None:
    with addresses(trickling, keys=[new_signer("w0.example", COSIGNATURE)]) as slow:
        begun = monotonic()
        problems = collect_cosignatures(ledger, slow, timeout=0.5)
        assert monotonic() - begun < 5
    assert re.search(r"within 0\.\d+ seconds", problems["w0.example"])


@pytest.mark.parametrize("url", ["ftp://x", "nothing", "http://", "http://[::1", "http://x:99999"])
def test_what_is_no_address_is_a_setting_to_mend(url: str) -> None:
    with pytest.raises(SettingsError):
        ask(url, "add-checkpoint", at_most=10, timeout=1)


def test_an_answer_is_read_up_to_its_cap() -> None:
    with serve_in_thread(answering(b"x" * 11)) as url:
        assert ask(url, "checkpoint", at_most=11, timeout=10)[2] == b"x" * 11
        with pytest.raises(ServiceUnreachableError, match="over 10 bytes"):
            ask(url, "checkpoint", at_most=10, timeout=10)


def test_a_request_over_its_cap_is_not_even_parsed(witness: Witness) -> None:
    answer = witness.add_checkpoint(bytes(MAX_REQUEST_BYTES + 1))
    assert (answer.status, b"over" in answer.body) == (400, True)


def test_an_address_nobody_listens_on_is_unreachable() -> None:
    with pytest.raises(ServiceUnreachableError):
        ask("http://127.0.0.1:1", "checkpoint", at_most=10, timeout=1)


def test_many_slow_witnesses_take_no_more_time_than_one_and_an_honest_one_counts(
    ledger: Ledger, witness: Witness
) -> None:
    keys = [new_signer(f"w{number}.example", COSIGNATURE) for number in range(6)]
    with (
        addresses(*[trickling] * 6, keys=keys) as slow,
        serve_in_thread(witness_app(witness)) as url,
    ):
        begun = monotonic()
        problems = collect_cosignatures(ledger, [*slow, WitnessAddress(url, KEY.key)], timeout=1)
        assert monotonic() - begun < 4
    assert set(problems) == {item.key.name for item in slow}
    assert verify_cosignature(ledger.checkpoint(), KEY.key) == int(NOW.timestamp())


def test_a_witness_that_is_away_is_left_alone_for_a_while(tmp_path: Path) -> None:
    asked = 0

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        nonlocal asked
        asked += 1
        await answering(b"gone", status=500)(scope, receive, send)

    with addresses(broken, keys=[KEY]) as found:
        log = EntryLog(tmp_path / "runs", LOG, tuple(found))
        for number in range(3):
            log.prove(b"run %d" % number)
    assert asked == 1


@pytest.mark.parametrize(
    "text",
    ["http://127.0.0.1:1", f"{KEY.key}", f"{LOG.key}@http://h", f"{KEY.key}@http://", "x@http://h"],
    ids=["no-key", "no-address", "key-of-a-log", "no-host", "no-such-key"],
)
def test_a_witness_is_named_by_its_key_and_address_or_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        parse_witnesses(text)


def test_a_witness_is_named_once() -> None:
    one = f"{KEY.key}@http://127.0.0.1:8767"
    (found,) = parse_witnesses(f" {one}, ")
    assert (found.url, found.key) == ("http://127.0.0.1:8767", KEY.key)
    assert parse_witnesses("") == ()
    with pytest.raises(SettingsError, match="twice"):
        parse_witnesses(f"{one},{one}")
