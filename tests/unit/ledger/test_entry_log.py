"""Several processes take up one log of entries, or its key, at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from manatee.ledger import (
    ED25519,
    EntryLog,
    LogReader,
    NoteSigner,
    new_signer,
    read_folder,
    signer_in,
)
from manatee.ledger import _entry_log as entry_log
from manatee.ledger import _signer_file as signer_file
from manatee.ledger._storage import LogFolder

PATIENCE = 30
"""Seconds after which a thread of a test has surely gone wrong."""


@pytest.fixture
def signer() -> NoteSigner:
    return new_signer("manatee.invalid/runs/race", ED25519)


def entries_of(folder: Path) -> list[bytes]:
    reader = LogReader(read_folder(folder))
    return list(reader.entries(0, reader.checkpoint().checkpoint.size))


def before_creating(monkeypatch: pytest.MonkeyPatch, pause: Callable[[], object]) -> None:
    """Do something between the look for a log and the making of one."""
    create = entry_log.create_log

    def paused(*arguments: Any, **named: Any) -> Any:
        pause()
        return create(*arguments, **named)

    monkeypatch.setattr(entry_log, "create_log", paused)


def test_two_that_both_found_no_log_start_one_and_share_it(
    tmp_path: Path, signer: NoteSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    meet = threading.Barrier(2, timeout=PATIENCE)
    before_creating(monkeypatch, meet.wait)

    def start_and_log(entry: bytes) -> bytes:
        return EntryLog(tmp_path / "log", signer).prove(entry)

    with ThreadPoolExecutor(2) as pool:
        proofs = list(pool.map(start_and_log, [b"one", b"two"], timeout=PATIENCE))
    assert all(proofs)
    assert sorted(entries_of(tmp_path / "log")) == [b"one", b"two"]


def test_who_finds_the_log_being_started_waits_for_it(
    tmp_path: Path, signer: NoteSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = threading.Event()
    before_creating(monkeypatch, reached.set)
    with ThreadPoolExecutor(1) as pool:
        with LogFolder(tmp_path / "log").only_writer():  # as whoever is starting it does
            starting = pool.submit(EntryLog, tmp_path / "log", signer)
            assert reached.wait(PATIENCE)
            with pytest.raises(TimeoutError):
                starting.exception(timeout=0.2)
        started = starting.result(timeout=PATIENCE)
    assert started.prove(b"one")
    assert entries_of(tmp_path / "log") == [b"one"]


def test_two_that_both_found_no_key_use_the_one_that_was_there_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key.json"
    make = signer_file.new_signer
    others: list[NoteSigner] = []

    def another_is_faster(name: str, algorithm: int) -> NoteSigner:
        monkeypatch.setattr(signer_file, "new_signer", make)
        others.append(signer_in(path, name, algorithm))
        return make(name, algorithm)

    monkeypatch.setattr(signer_file, "new_signer", another_is_faster)
    mine = signer_in(path, "manatee.invalid/runs/race", ED25519)
    assert [mine.private] == [other.private for other in others]
    assert signer_in(path, "", ED25519).private == mine.private
