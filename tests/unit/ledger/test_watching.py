"""Logs under fire: crashes, full disks, forks, rollbacks, lying and absent witnesses."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from manatee.errors import (
    ConflictError,
    ForkError,
    LedgerError,
    ManateeError,
    NotFoundError,
    StoreError,
    TooLargeError,
)
from manatee.ledger import (
    COSIGNATURE,
    ED25519,
    EMPTY_ROOT,
    Checkpoint,
    Ledger,
    LogTrust,
    Monitor,
    NoteSigner,
    Witness,
    WitnessAddress,
    collect_cosignatures,
    create_log,
    new_signer,
    parse_checkpoint,
    parse_signatures,
    read_folder,
    sign_checkpoint,
    verify_cosignature,
    witness_app,
)
from manatee.ledger._storage import LogFolder
from manatee.records import to_base64

LOG = new_signer("example.org/log", ED25519)
WITNESS = new_signer("witness.example", COSIGNATURE)
NOW = datetime(2026, 3, 1, tzinfo=UTC)
TRUST = LogTrust(origin=LOG.name, log_key=str(LOG.key))


def entries(count: int, start: int = 0) -> list[bytes]:
    return [b"entry %d" % number for number in range(start, start + count)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create_log(tmp_path / "log", LOG)
    return tmp_path / "log"


def size_of(folder: Path) -> int:
    with Ledger.open(folder, LOG) as ledger:
        return ledger.checkpoint().checkpoint.size


# --- appending ------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["write", "sync"])
@pytest.mark.parametrize("count", [1, 3, 300])
def test_a_crash_between_any_two_writes_loses_nothing_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, step: str
) -> None:
    genuine = getattr(LogFolder, step)
    whole = tmp_path / "whole"
    create_log(whole, LOG)
    with Ledger.open(whole, LOG) as ledger:
        ledger.append(entries(250))
        ledger.append(entries(count, 250))
        wanted = ledger.checkpoint().checkpoint.root
    crashed = 0
    for dies_at in range(12):
        folder = tmp_path / f"log-{dies_at}"
        create_log(folder, LOG)
        with Ledger.open(folder, LOG) as ledger:
            ledger.append(entries(250))
        calls = [0]

        def dying(self: LogFolder, *args: Any, at: int = dies_at, n: list[int] = calls) -> None:
            n[0] += 1
            if n[0] == at + 1:
                raise KeyboardInterrupt
            genuine(self, *args)

        monkeypatch.setattr(LogFolder, step, dying)
        try:
            with Ledger.open(folder, LOG) as ledger:
                ledger.append(entries(count, 250))
        except KeyboardInterrupt:
            crashed += 1
        monkeypatch.setattr(LogFolder, step, genuine)
        with Ledger.open(folder, LOG) as ledger:
            if ledger.checkpoint().checkpoint.size == 250:
                ledger.append(entries(count, 250))
            assert ledger.checkpoint().checkpoint.size == 250 + count
            assert ledger.checkpoint().checkpoint.root == wanted
    assert crashed >= 1


def test_a_full_disk_stops_the_append_and_leaves_the_log_as_it_was(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Ledger.open(folder, LOG) as ledger:
        ledger.append(entries(5))
        before = (folder / "checkpoint").read_bytes()
        genuine = Path.replace

        def full(self: Path, target: Any) -> Any:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Path, "replace", full)
        with pytest.raises(StoreError, match="No space left"):
            ledger.append(entries(5, 5))
        monkeypatch.setattr(Path, "replace", genuine)
        assert (folder / "checkpoint").read_bytes() == before
        assert not [path for path in folder.rglob(".*") if path.name != ".lock"]
        assert ledger.append(entries(2, 5)) == (5, 6)


def test_an_entry_that_is_too_large_appends_nothing(folder: Path) -> None:
    with Ledger.open(folder, LOG) as ledger:
        with pytest.raises(TooLargeError):
            ledger.append([b"ok", bytes(1 << 16)])
        assert ledger.append([b"ok"]) == (0,)


def test_a_damaged_log_takes_no_more_entries(folder: Path) -> None:
    with Ledger.open(folder, LOG) as ledger:
        ledger.append(entries(3))
    tile = folder / "tile/0/000.p/3"
    tile.write_bytes(bytes(96))
    with pytest.raises(LedgerError, match="root"), Ledger.open(folder, LOG):
        pass
    tile.unlink()
    with pytest.raises(NotFoundError), Ledger.open(folder, LOG):
        pass


def test_one_writer_at_a_time_and_only_with_the_log_s_key(folder: Path) -> None:
    with Ledger.open(folder, LOG), pytest.raises(ConflictError), Ledger.open(folder, LOG):
        pass
    with pytest.raises(LedgerError), Ledger.open(folder, new_signer(LOG.name, ED25519)):
        pass
    with pytest.raises(ConflictError):
        create_log(folder, LOG)


# --- witness --------------------------------------------------------------------------------------


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return Witness(tmp_path / "witness", WITNESS, {LOG.name: LOG.key}, lambda: NOW)


def request(ledger: Ledger, old: int, *, note: bytes | None = None) -> bytes:
    size = ledger.checkpoint().checkpoint.size
    proof = ledger.reader.consistency(old, size)
    lines = [f"old {old}", *map(to_base64, proof), "", ""]
    return "\n".join(lines).encode() + (note or ledger.checkpoint().encode())


def test_a_witness_cosigns_growth_and_says_what_it_knows_otherwise(
    folder: Path, tmp_path: Path, witness: Witness
) -> None:
    with Ledger.open(folder, LOG) as ledger:
        ledger.append(entries(3))
        first = witness.add_checkpoint(request(ledger, 0))
        assert first.status == 200
        signed = ledger.checkpoint().with_signatures(
            parse_signatures(first.body.decode().rstrip("\n").split("\n"))
        )
        assert verify_cosignature(signed, WITNESS.key) == int(NOW.timestamp())
        ledger.append(entries(4, 3))
        again = Witness(tmp_path / "witness", WITNESS, {LOG.name: LOG.key}, lambda: NOW)
        for running in (witness, again):  # and it remembers over a restart
            known = running.add_checkpoint(request(ledger, 0))
            assert (known.status, known.body, known.media_type) == (
                409,
                b"3\n",
                "text/x.tlog.size",
            )
        assert again.add_checkpoint(request(ledger, 3)).status == 200
        assert witness.add_checkpoint(request(ledger, 7)).status == 200  # the same once more


def forged(size: int, root: bytes, signer: NoteSigner = LOG) -> bytes:
    return sign_checkpoint(Checkpoint(LOG.name, size, root), signer).encode()


def test_a_witness_never_cosigns_a_fork_or_a_foreign_log(folder: Path, witness: Witness) -> None:
    with Ledger.open(folder, LOG) as ledger:
        ledger.append(entries(3))
        assert witness.add_checkpoint(request(ledger, 0)).status == 200
        fork = b"old 3\n\n" + forged(3, bytes(32))
        assert witness.add_checkpoint(fork).status == 422
        grown = b"old 3\n" + to_base64(bytes(32)).encode() + b"\n\n" + forged(4, bytes(32))
        assert witness.add_checkpoint(grown).status == 422
        shrunk = b"old 3\n\n" + forged(2, bytes(32))
        assert witness.add_checkpoint(shrunk).status == 400
        other_key = b"old 3\n\n" + forged(3, bytes(32), new_signer(LOG.name, ED25519))
        assert witness.add_checkpoint(other_key).status == 403
        broken = bytearray(request(ledger, 3))
        broken[-10] ^= 1
        assert witness.add_checkpoint(bytes(broken)).status in {400, 403}
        unknown = sign_checkpoint(Checkpoint("example.org/x", 0, EMPTY_ROOT), LOG).encode()
        assert witness.add_checkpoint(b"old 0\n\n" + unknown).status == 404
        assert witness.add_checkpoint(request(ledger, 3)).status == 200  # nothing was disturbed


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 0",
        b"old 00\n\nx",
        b"old -1\n\nx",
        b"new 0\n\nx",
        b"old 0\nnothash\n\nx",
        b"old 0\n" + b"A" * 43 + b"=\n" * 70 + b"\nx",
        b"\xff" * 100,
        b"A" * (1 << 20),
    ],
)
def test_what_is_no_request_is_answered_with_400(witness: Witness, body: bytes) -> None:
    assert witness.add_checkpoint(body).status == 400


def test_a_witness_that_cannot_read_its_memory_signs_nothing(
    folder: Path, tmp_path: Path, witness: Witness
) -> None:
    with Ledger.open(folder, LOG) as ledger:
        ledger.append(entries(3))
        witness.add_checkpoint(request(ledger, 0))
        (memory,) = (tmp_path / "witness").glob("*.checkpoint")
        memory.write_bytes(b"garbage")
        with pytest.raises(StoreError, match="remembers"):
            witness.add_checkpoint(request(ledger, 3))


def test_two_requests_at_once_never_roll_a_witness_back(folder: Path, witness: Witness) -> None:
    with Ledger.open(folder, LOG) as ledger:
        ledger.append(entries(2))
        bodies = [request(ledger, 0)]
        ledger.append(entries(3, 2))
        bodies.append(request(ledger, 0))
        answers: list[int] = []
        ready = threading.Barrier(8)

        def ask(body: bytes) -> None:
            ready.wait()
            answers.append(witness.add_checkpoint(body).status)

        threads = [threading.Thread(target=ask, args=(bodies[n % 2],)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(set(answers)) == [200, 409]
        assert answers.count(200) == 1


# --- collecting cosignatures over HTTP ------------------------------------------------------------


@pytest.fixture
def served() -> Iterator[Callable[[Any], str]]:
    """Serve ASGI apps on loopback; returns their addresses."""
    import uvicorn

    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(app: Any) -> str:
        config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off")
        server = uvicorn.Server(config)
        started = threading.Event()
        genuine = server.startup

        async def startup(*args: Any, **kwargs: Any) -> None:
            await genuine(*args, **kwargs)
            started.set()

        server.startup = startup  # type: ignore[method-assign]
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        assert started.wait(20)
        running.append((server, thread))
        port = server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join(10)


async def liar(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": "— witness.example AAAAAAAA\n".encode()})


async def babbler(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x" * (1 << 20)})


def test_honest_witnesses_count_whatever_the_others_do(
    folder: Path, witness: Witness, served: Callable[[Any], str]
) -> None:
    keys = [new_signer(f"w{number}.example", COSIGNATURE) for number in range(3)]
    addresses = [
        WitnessAddress(served(witness_app(witness)), WITNESS.key),
        WitnessAddress(served(liar), keys[0].key),
        WitnessAddress(served(babbler), keys[1].key),
        WitnessAddress("http://127.0.0.1:1", keys[2].key),
    ]
    with Ledger.open(folder, LOG) as ledger:
        for count in (3, 2):  # the second time, the witness knows an older tree
            ledger.append(entries(count))
            problems = collect_cosignatures(ledger, addresses, timeout=5)
            assert set(problems) == {"w0.example", "w1.example", "w2.example"}
            published = parse_checkpoint((folder / "checkpoint").read_bytes())
            assert verify_cosignature(published, WITNESS.key) is not None


# --- monitor and mirror ---------------------------------------------------------------------------


def test_a_monitor_follows_growth_and_a_mirror_is_the_log_itself(
    folder: Path, tmp_path: Path
) -> None:
    monitor = Monitor(tmp_path / "seen", TRUST)
    with Ledger.open(folder, LOG) as ledger:
        for count in (3, 300, 7):
            ledger.append(entries(count))
            seen = monitor.look(read_folder(folder), mirror=True)
            assert seen.size - seen.old_size == count
    published = {
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }
    for path in published:
        if ".p" not in str(path) or (tmp_path / "seen" / path).exists():
            assert (tmp_path / "seen" / path).read_bytes() == (folder / path).read_bytes()
    second = Monitor(tmp_path / "second", TRUST).look(read_folder(tmp_path / "seen"))
    assert second.size == 310


def other_log(tmp_path: Path, count: int, *, start: int = 0) -> Path:
    folder = tmp_path / f"other-{count}-{start}"
    create_log(folder, LOG)
    with Ledger.open(folder, LOG) as ledger:
        ledger.append(entries(count, start))
    return folder


@pytest.mark.parametrize(("count", "start"), [(5, 9), (9, 9)])
def test_a_monitor_finds_a_log_that_shows_another_past(
    folder: Path, tmp_path: Path, count: int, start: int
) -> None:
    monitor = Monitor(tmp_path / "seen", TRUST)
    with Ledger.open(folder, LOG) as ledger:
        ledger.append(entries(5))
    monitor.look(read_folder(folder))
    with pytest.raises(ForkError):
        monitor.look(read_folder(other_log(tmp_path, count, start=start)))
    assert (tmp_path / "seen" / "fork.checkpoint").exists()
    assert monitor.look(read_folder(folder)).size == 5  # the genuine one is still believed


def test_a_monitor_finds_an_entry_that_was_edited(folder: Path, tmp_path: Path) -> None:
    with Ledger.open(folder, LOG) as ledger:
        ledger.append(entries(5))
    bundle = folder / "tile/entries/000.p/5"
    bundle.write_bytes(bundle.read_bytes().replace(b"entry 3", b"entry 9"))
    with pytest.raises(LedgerError, match="entries do not give"):
        Monitor(tmp_path / "seen", TRUST).look(read_folder(folder))


def test_a_monitor_wants_its_log_its_key_and_its_witnesses(folder: Path, tmp_path: Path) -> None:
    with Ledger.open(folder, LOG) as ledger:
        ledger.append(entries(1))
    for trust in (
        LogTrust(origin="example.org/other", log_key=str(LOG.key)),
        LogTrust(origin=LOG.name, log_key=str(new_signer(LOG.name, ED25519).key)),
        LogTrust(origin=LOG.name, log_key=str(LOG.key), witnesses=(str(WITNESS.key),), quorum=1),
    ):
        with pytest.raises(LedgerError):
            Monitor(tmp_path / "seen", trust).look(read_folder(folder))
    with pytest.raises(ManateeError):
        Monitor(tmp_path / "seen", TRUST).look(read_folder(tmp_path / "nowhere"))
