"""A monitor and its mirror, over a folder and over HTTP: growth, forks, damage, interruption."""

from __future__ import annotations

import http.client
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from manatee.api import serve_in_thread
from manatee.errors import ForkError, LedgerError, ManateeError, NotFoundError
from manatee.ledger import (
    COSIGNATURE,
    ED25519,
    Checkpoint,
    Ledger,
    LogReader,
    LogTrust,
    Monitor,
    cosign,
    create_log,
    leaf_hash,
    log_app,
    new_signer,
    read_source,
    sign_checkpoint,
    verify_log_proof,
)
from manatee.ledger._files_http import public_name
from manatee.ledger._range import CompactRange
from manatee.ledger._storage import LogFolder

LOG = new_signer("example.org/log", ED25519)
WITNESSES = [new_signer(f"w{number}.example", COSIGNATURE) for number in range(3)]
TRUST = LogTrust(origin=LOG.name, log_key=str(LOG.key))
Open = Callable[[Path], Callable[[str], bytes]]


def entries(count: int, start: int = 0) -> list[bytes]:
    return [b"entry %d" % number for number in range(start, start + count)]


def make(folder: Path, items: list[bytes], signer: Any = LOG) -> Path:
    create_log(folder, signer)
    with Ledger.open(folder, signer) as ledger:
        ledger.append(items)
    return folder


def append(folder: Path, items: list[bytes]) -> None:
    with Ledger.open(folder, LOG) as ledger:
        ledger.append(items)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return make(tmp_path / "log", entries(300))


@pytest.fixture(params=["folder", "http"])
def opened(request: pytest.FixtureRequest) -> Iterator[Open]:
    """Open a log's folder as a reader: from the disk, or through our own static server."""
    with ExitStack() as stack:

        def through(folder: Path) -> Callable[[str], bytes]:
            if request.param == "folder":
                return read_source(str(folder))
            return read_source(stack.enter_context(serve_in_thread(log_app(folder))))

        yield through


def test_growth_is_followed_and_a_restart_remembers(
    log: Path, tmp_path: Path, opened: Open
) -> None:
    read = opened(log)
    assert Monitor(tmp_path / "seen", TRUST).look(read).size == 300
    append(log, entries(260, 300))
    seen = Monitor(tmp_path / "seen", TRUST).look(read)
    assert (seen.old_size, seen.size) == (300, 560)
    assert Monitor(tmp_path / "seen", TRUST).look(read).old_size == 560  # nothing new is no error


@pytest.mark.parametrize(
    "other",
    [entries(300, 1), entries(400, 1), [*entries(299), b"x", *entries(50, 300)]],
    ids=["same-size", "larger", "last-entry-replaced"],
)
def test_another_past_is_a_fork_and_its_proof_is_kept(
    log: Path, tmp_path: Path, opened: Open, other: list[bytes]
) -> None:
    monitor = Monitor(tmp_path / "seen", TRUST)
    monitor.look(opened(log))
    rival = make(tmp_path / "rival", other)
    with pytest.raises(ForkError):
        monitor.look(opened(rival))
    kept = (tmp_path / "seen" / "fork.checkpoint").read_bytes()
    assert kept == (rival / "checkpoint").read_bytes()
    assert monitor.look(opened(log)).old_size == 300  # the fork was not believed


def test_two_signed_trees_of_one_size_are_a_fork_even_if_only_one_is_shown(
    log: Path, tmp_path: Path, opened: Open
) -> None:
    monitor = Monitor(tmp_path / "seen", TRUST)
    monitor.look(opened(log))
    second = sign_checkpoint(Checkpoint(LOG.name, 300, bytes(32)), LOG).encode()
    (log / "checkpoint").write_bytes(second)
    with pytest.raises(ForkError, match="two trees of 300"):
        monitor.look(opened(log))
    assert (tmp_path / "seen" / "fork.checkpoint").read_bytes() == second


def test_another_smaller_tree_is_a_fork(log: Path, tmp_path: Path, opened: Open) -> None:
    monitor = Monitor(tmp_path / "seen", TRUST)
    monitor.look(opened(log))
    (log / "checkpoint").write_bytes(
        sign_checkpoint(Checkpoint(LOG.name, 299, bytes(32)), LOG).encode()
    )
    with pytest.raises(ForkError, match="another tree of 299"):
        monitor.look(opened(log))


@pytest.mark.parametrize("mirror", [False, True])
def test_an_older_honest_checkpoint_is_stale_and_no_accusation(
    log: Path, tmp_path: Path, opened: Open, mirror: bool
) -> None:
    old = (log / "checkpoint").read_bytes()
    append(log, entries(3, 300))
    monitor = Monitor(tmp_path / "seen", TRUST)
    monitor.look(opened(log), mirror=mirror)
    new = (log / "checkpoint").read_bytes()
    (log / "checkpoint").write_bytes(old)
    with pytest.raises(LedgerError, match="stale") as caught:
        monitor.look(opened(log))
    assert not isinstance(caught.value, ForkError)
    assert not (tmp_path / "seen" / "fork.checkpoint").exists()
    (log / "checkpoint").write_bytes(new)
    assert monitor.look(opened(log)).size == 303


def test_a_log_that_lost_its_end_is_called_out_but_only_a_mirror_can_tell_what_it_was(
    log: Path, tmp_path: Path, opened: Open
) -> None:
    past = make(tmp_path / "past", entries(200))
    other = make(tmp_path / "other", [b"other", *entries(199)])
    plain, mirror = Monitor(tmp_path / "seen", TRUST), Monitor(tmp_path / "mirror", TRUST)
    plain.look(opened(log))
    mirror.look(opened(log), mirror=True)
    for shown in (past, other):
        with pytest.raises(LedgerError, match="stale, or rolled back") as caught:
            plain.look(opened(shown))
        assert not isinstance(caught.value, ForkError)
        kept = (tmp_path / "seen" / "older.checkpoint").read_bytes()
        assert kept == (shown / "checkpoint").read_bytes()
    with pytest.raises(LedgerError, match="it is stale"):
        mirror.look(opened(past))
    with pytest.raises(ForkError, match="another tree of 200"):
        mirror.look(opened(other))


@pytest.mark.parametrize("known", [False, True])
def test_an_edited_new_entry_is_found(log: Path, tmp_path: Path, opened: Open, known: bool) -> None:
    monitor = Monitor(tmp_path / "seen", TRUST)
    if known:
        monitor.look(opened(log))
        append(log, entries(3, 300))
    bundle = log / f"tile/entries/001.p/{47 if known else 44}"
    bundle.write_bytes(
        bundle.read_bytes().replace(b"entry 29", b"entry 92").replace(b"302", b"203")
    )
    with pytest.raises(LedgerError, match="do not give the root") as caught:
        monitor.look(opened(log))
    assert not isinstance(caught.value, ForkError)  # damage is not called deceit


def test_a_missing_or_cut_bundle_is_no_growth(log: Path, tmp_path: Path, opened: Open) -> None:
    bundle = log / "tile/entries/001.p/44"
    data = bundle.read_bytes()
    for damaged in (data[:-1], data + b"\0\0", b""):
        bundle.write_bytes(damaged)
        with pytest.raises(LedgerError):
            Monitor(tmp_path / "seen", TRUST).look(opened(log))
    bundle.unlink()
    with pytest.raises(NotFoundError):
        Monitor(tmp_path / "seen", TRUST).look(opened(log))
    assert not (tmp_path / "seen" / "seen.json").exists()


def test_another_origin_or_key_is_not_the_log(log: Path, tmp_path: Path, opened: Open) -> None:
    impostor = make(tmp_path / "impostor", entries(5), new_signer(LOG.name, ED25519))
    other = make(tmp_path / "other", entries(5), new_signer("example.org/other", ED25519))
    for folder in (impostor, other):
        with pytest.raises(LedgerError):
            Monitor(tmp_path / "seen", TRUST).look(opened(folder))


@pytest.mark.parametrize(("signed_by", "quorum"), [(0, 1), (1, 2), (2, 3)])
def test_too_few_cosignatures_are_refused_and_enough_are_named(
    log: Path, tmp_path: Path, opened: Open, signed_by: int, quorum: int
) -> None:
    keys = tuple(str(item.key) for item in WITNESSES)
    trust = LogTrust(origin=LOG.name, log_key=str(LOG.key), witnesses=keys, quorum=quorum)
    with Ledger.open(log, LOG) as ledger:
        now = ledger.checkpoint()
        lines = tuple(cosign(now, item, moment=7) for item in WITNESSES)
        ledger.add_cosignatures(lines[:signed_by])
        with pytest.raises(LedgerError, match=f"{quorum} are needed"):
            Monitor(tmp_path / "seen", trust).look(opened(log))
        ledger.add_cosignatures(lines[:quorum])
        seen = Monitor(tmp_path / "seen", trust).look(opened(log))
    assert seen.cosigners == tuple((item.name, 7) for item in WITNESSES[:quorum])


@pytest.mark.parametrize("state", [b"", b"{}", b"\xff", b'{"format_version":1}'])
def test_a_monitor_that_cannot_read_its_memory_believes_nothing(
    log: Path, tmp_path: Path, state: bytes
) -> None:
    monitor = Monitor(tmp_path / "seen", TRUST)
    monitor.look(read_source(str(log)))
    (tmp_path / "seen" / "seen.json").write_bytes(state)
    with pytest.raises(ManateeError):
        monitor.look(read_source(str(log)))


# --- mirror ---------------------------------------------------------------------------------------


def files_of(folder: Path) -> dict[str, bytes]:
    found = [folder / "checkpoint", *(folder / "tile").rglob("*")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found if path.is_file()}


def test_a_mirror_is_the_log_file_by_file_and_serves_as_one(
    log: Path, tmp_path: Path, opened: Open
) -> None:
    mirror = tmp_path / "mirror"
    for more in (0, 1, 255, 700):
        append(log, entries(more, LogReader(read_source(str(log))).checkpoint().checkpoint.size))
        Monitor(mirror, TRUST).look(opened(log), mirror=True)
    assert files_of(mirror) == files_of(log)
    reader = LogReader(opened(mirror))
    proof = reader.proof(1255).encode()
    assert verify_log_proof(proof, b"entry 1255", TRUST).tree_size == 1256
    assert Monitor(tmp_path / "second", TRUST).look(opened(mirror), mirror=True).size == 1256
    assert files_of(tmp_path / "second").items() <= files_of(log).items()


@pytest.mark.parametrize("known", [0, 300])
def test_a_mirror_interrupted_at_any_write_goes_on(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: int
) -> None:
    genuine = LogFolder.write
    read = read_source(str(log))
    root = LogReader(read).checkpoint().checkpoint.root
    interrupted = 0
    for dies_at in range(12):
        mirror = tmp_path / f"mirror-{dies_at}"
        if known:
            make_copy = make(tmp_path / f"source-{dies_at}", entries(100))
            Monitor(mirror, TRUST).look(read_source(str(make_copy)), mirror=True)
        calls = [0]

        def dying(
            self: LogFolder, name: str, data: bytes, at: int = dies_at, n: list[int] = calls
        ) -> None:
            n[0] += 1
            if n[0] > at:
                raise KeyboardInterrupt
            genuine(self, name, data)

        monkeypatch.setattr(LogFolder, "write", dying)
        try:
            Monitor(mirror, TRUST).look(read, mirror=True)
        except KeyboardInterrupt:
            interrupted += 1
        monkeypatch.setattr(LogFolder, "write", genuine)
        assert Monitor(mirror, TRUST).look(read, mirror=True).size == 300
        again = CompactRange()
        for entry in LogReader(read_source(str(mirror))).entries(0, 300):
            again.append(leaf_hash(entry))
        assert again.root() == root
    assert interrupted >= 5


def test_a_mirror_never_builds_on_files_of_its_own_that_were_edited(
    log: Path, tmp_path: Path
) -> None:
    mirror = tmp_path / "mirror"
    Monitor(mirror, TRUST).look(read_source(str(log)), mirror=True)
    bundle = mirror / "tile/entries/001.p/44"
    bundle.write_bytes(bundle.read_bytes().replace(b"entry 299", b"entry 9!!"))
    append(log, entries(5, 300))
    with pytest.raises(LedgerError, match="bundle"):
        Monitor(mirror, TRUST).look(read_source(str(log)), mirror=True)


# --- the static server ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/checkpoint",
        "/tile/0/000",
        "/tile/63/x001/234.p/255",
        "/tile/entries/x001/x234/067.p/1",
    ],
)
def test_a_log_s_own_files_have_names(path: str) -> None:
    assert public_name(path) == path[1:]


HOSTILE = [
    "/",
    "//checkpoint",
    "/seen.json",
    "/.lock",
    "/fork.checkpoint",
    "/checkpoint/",
    "/checkpoint\n",
    "/checkpoint\0",
    "/../log-key.json",
    "/tile/../../log-key.json",
    "/tile/0/../../../log-key.json",
    "/tile/0/..",
    "/tile/0",
    "/tile/64/000",
    "/tile/00/000",
    "/tile/0/0",
    "/tile/0/000.p",
    "/tile/0/000.p/0",
    "/tile/0/000.p/256",
    "/tile/0/000.p/01",
    "/tile/0/٠٠٠",
    "/tile/entries/.000.abcd",
    "/tile/0/" + "x000/" * 7 + "000",
]


@pytest.mark.parametrize("path", HOSTILE)
def test_no_other_file_of_a_folder_is_served(path: str) -> None:
    assert public_name(path) is None


def test_the_server_keeps_keys_and_memories_to_itself(log: Path, tmp_path: Path) -> None:
    (tmp_path / "log-key.json").write_text("secret")
    (log / "seen.json").write_text("secret")
    (log / "tile/0/007").symlink_to(tmp_path / "log-key.json")
    with serve_in_thread(log_app(log)) as url:
        host = url.removeprefix("http://")

        def get(path: str, method: str = "GET") -> tuple[int, bytes, str]:
            connection = http.client.HTTPConnection(host, timeout=10)
            try:
                connection.putrequest(method, path, skip_accept_encoding=True)
                connection.endheaders()
                answer = connection.getresponse()
                return answer.status, answer.read(), answer.getheader("Cache-Control") or ""
            finally:
                connection.close()

        for path in (
            "/../log-key.json",
            "/%2e%2e/log-key.json",
            "/tile/%2e%2e/seen.json",
            "/tile/0/007",
            "/seen.json",
            "/tile/0/999",
        ):
            status, body, _ = get(path)
            assert (status, b"secret" in body) == (404, False)
        assert get("/checkpoint", "DELETE")[0] == 405
        assert get("/checkpoint", "HEAD")[:2] == (200, b"")
        status, body, cache = get("/checkpoint")
        assert (status, body, cache) == (200, (log / "checkpoint").read_bytes(), "no-cache")
        status, body, cache = get("/tile/0/000")
        assert (status, len(body), "immutable" in cache) == (200, 8192, True)


def test_a_file_that_cannot_be_read_is_an_error_and_not_an_absence(log: Path) -> None:
    os.replace(log / "checkpoint", log / "old")
    (log / "checkpoint").mkdir()
    with serve_in_thread(log_app(log)) as url, pytest.raises(ManateeError) as caught:
        read_source(url)("checkpoint")
    assert not isinstance(caught.value, NotFoundError)
