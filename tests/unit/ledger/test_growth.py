"""A reader who kept a checkpoint finds out whatever was not appended."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from manatee.errors import ForkError, LedgerError, MalformedError
from manatee.ledger import (
    ED25519,
    EMPTY_ROOT,
    Checkpoint,
    Growth,
    Ledger,
    LogReader,
    LogTrust,
    create_log,
    new_signer,
    parse_growth,
    read_folder,
    sign_checkpoint,
    verify_growth,
)

SIGNER = new_signer("log.example/audit", ED25519)
TRUST = LogTrust(origin=SIGNER.name, log_key=str(SIGNER.key))


def log_of(folder: Path, *entries: str) -> LogReader:
    create_log(folder, SIGNER)
    with Ledger.open(folder, SIGNER) as ledger:
        ledger.append([item.encode() for item in entries])
    return LogReader(read_folder(folder))


def growth(reader: LogReader, since: int) -> Growth:
    signed = reader.checkpoint()
    return Growth(since, reader.consistency(since, signed.checkpoint.size), signed)


@pytest.fixture
def old(tmp_path: Path) -> Checkpoint:
    return log_of(tmp_path / "old", "a", "b", "c").checkpoint().checkpoint


@pytest.fixture
def grown(tmp_path: Path) -> LogReader:
    return log_of(tmp_path / "grown", "a", "b", "c", "d", "e", "f")


def test_a_log_that_grew_is_believed(old: Checkpoint, grown: LogReader) -> None:
    newest = verify_growth(growth(grown, 3).encode(), old, TRUST)
    assert newest.checkpoint.size == 6


def test_so_is_one_that_stands_still_and_one_seen_for_the_first_time(grown: LogReader) -> None:
    now = grown.checkpoint().checkpoint
    assert verify_growth(growth(grown, 6).encode(), now, TRUST).checkpoint == now
    nothing = Checkpoint(SIGNER.name, 0, EMPTY_ROOT)
    assert verify_growth(growth(grown, 0).encode(), nothing, TRUST).checkpoint == now


@pytest.mark.parametrize("entries", ["aXcdef", "Xbcdef", "abXdef"])
def test_a_log_that_was_edited_and_signed_again_is_a_fork(
    old: Checkpoint, tmp_path: Path, entries: str
) -> None:
    edited = log_of(tmp_path / "edited", *entries)
    with pytest.raises(ForkError, match="does not follow"):
        verify_growth(growth(edited, 3).encode(), old, TRUST)


def test_another_log_of_the_same_size_is_a_fork(old: Checkpoint, tmp_path: Path) -> None:
    other = log_of(tmp_path / "other", "a", "b", "X")
    with pytest.raises(ForkError):
        verify_growth(growth(other, 3).encode(), old, TRUST)


def test_growth_from_another_tree_than_the_kept_one_proves_nothing(
    old: Checkpoint, grown: LogReader
) -> None:
    for since in (0, 2, 6):
        with pytest.raises(LedgerError, match="another tree"):
            verify_growth(growth(grown, since).encode(), old, TRUST)
    elsewhere = replace(old, origin="log.example/other")
    with pytest.raises(LedgerError, match="another tree"):
        verify_growth(growth(grown, 3).encode(), elsewhere, TRUST)


def test_a_checkpoint_of_another_key_or_name_is_refused(old: Checkpoint, grown: LogReader) -> None:
    stranger = new_signer(SIGNER.name, ED25519)
    signed = sign_checkpoint(grown.checkpoint().checkpoint, stranger)
    with pytest.raises(LedgerError):
        verify_growth(replace(growth(grown, 3), signed=signed).encode(), old, TRUST)
    with pytest.raises(LedgerError):
        verify_growth(
            growth(grown, 3).encode(), old, LogTrust(origin="x.example", log_key=str(SIGNER.key))
        )


def test_a_quorum_counts_here_too(old: Checkpoint, grown: LogReader) -> None:
    from manatee.ledger import COSIGNATURE

    witness = str(new_signer("witness.example", COSIGNATURE).key)
    asks = LogTrust(origin=SIGNER.name, log_key=str(SIGNER.key), witnesses=(witness,), quorum=1)
    with pytest.raises(LedgerError, match="0 trusted witness"):
        verify_growth(growth(grown, 3).encode(), old, asks)


def test_the_text_comes_back(grown: LogReader) -> None:
    made = growth(grown, 3)
    assert parse_growth(made.encode()) == made


@pytest.mark.parametrize("position", range(0, 400, 7))
def test_no_flipped_bit_is_believed(old: Checkpoint, grown: LogReader, position: int) -> None:
    data = bytearray(growth(grown, 3).encode())
    data[position % len(data)] ^= 1
    with pytest.raises((LedgerError, MalformedError)):
        verify_growth(bytes(data), old, TRUST)


@pytest.mark.parametrize("data", [b"", b"old 3\n", b"old -1\n\n", b"new 3\n\n", b"x" * 2_000_000])
def test_anything_else_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_growth(data)
