"""The decision log: append-only, chained, and honest about what is missing."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from manatee.custody import create_custody
from manatee.errors import ConflictError, KeyDeniedError, MalformedError, SettingsError, StoreError
from manatee.keybroker import (
    BrokerStore,
    chain_digest,
    create_broker,
    open_broker,
    read_broker_keys,
    write_policy,
)
from manatee.records import digest_bytes
from manatee.testing import Installation

JOB = digest_bytes(b"job")
VERSION = digest_bytes(b"version")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "broker.db"


@pytest.fixture
def store(path: Path) -> BrokerStore:
    opened = BrokerStore(path)
    for number in range(3):
        opened.log(b"decision %d" % number)
    return opened


def tamper(path: Path, *statements: str) -> None:
    """Change the file as somebody who knows SQLite: triggers first."""
    connection = sqlite3.connect(path)
    connection.execute("DROP TRIGGER decisions_are_kept")
    connection.execute("DROP TRIGGER decisions_stay")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_the_log_is_a_chain_of_digests(store: BrokerStore) -> None:
    previous = ""
    for number, entry in enumerate(store.decisions()):
        assert entry.body == b"decision %d" % number
        assert entry.digest == chain_digest(previous, entry.body)
        previous = entry.digest
    assert store.log(b"next") == chain_digest(previous, b"next")


def test_an_empty_log_is_whole(path: Path) -> None:
    assert BrokerStore(path).decisions() == []


@pytest.mark.parametrize(
    "statement", ["DELETE FROM decisions", "UPDATE decisions SET body = x'00' WHERE seq = 2"]
)
def test_the_database_refuses_to_change_decisions(
    path: Path, store: BrokerStore, statement: str
) -> None:
    connection = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)
    connection.close()
    assert len(store.decisions()) == 3


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE decisions SET body = x'00' WHERE seq = 1",
        "UPDATE decisions SET body = x'00' WHERE seq = 3",
        "DELETE FROM decisions WHERE seq = 1",
        "DELETE FROM decisions WHERE seq = 2",
        "DELETE FROM decisions WHERE seq = 3",
        "DELETE FROM decisions",
        "INSERT INTO decisions (body, digest) VALUES (x'00', 'sha256:00')",
        "UPDATE decisions SET seq = 9 WHERE seq = 3",
    ],
)
def test_tampering_behind_the_triggers_is_found(
    path: Path, store: BrokerStore, statement: str
) -> None:
    store.close()
    tamper(path, statement)
    with pytest.raises(StoreError, match="decision log"):
        BrokerStore(path).decisions()


def test_a_refused_grant_leaves_no_released_decision(store: BrokerStore) -> None:
    store.grant(JOB, (VERSION,), attempt=1, now=0, decision=b"released")
    with pytest.raises(KeyDeniedError):
        store.grant(
            JOB, (digest_bytes(b"new"), VERSION), attempt=2, now=0, decision=b"released twice"
        )
    assert [entry.body for entry in store.decisions()][3:] == [b"released"]
    store.grant(JOB, (digest_bytes(b"new"),), attempt=2, now=0, decision=b"rolled back before")


def test_a_broken_or_closed_database_is_an_error_of_ours(path: Path, store: BrokerStore) -> None:
    store.close()
    for use in (
        lambda: store.log(b"x"),
        store.decisions,
        lambda: store.use_nonce(b"n", JOB, now=0),
        lambda: store.grant(JOB, (VERSION,), attempt=1, now=0, decision=b"x"),
    ):
        with pytest.raises(StoreError):
            use()
    path.write_bytes(b"not a database, not a database" * 100)
    for leftover in (path.with_name("broker.db-wal"), path.with_name("broker.db-shm")):
        leftover.unlink(missing_ok=True)
    with pytest.raises(StoreError):
        BrokerStore(path)


def test_a_release_whose_record_cannot_be_written_releases_nothing(tmp_path: Path) -> None:
    place = Installation(tmp_path)
    broker = place.broker()
    asked = place.ask(broker)
    connection = sqlite3.connect(tmp_path / "broker.db")
    connection.execute(
        "CREATE TRIGGER full BEFORE INSERT ON decisions BEGIN SELECT RAISE(ABORT, 'disk full'); END"
    )
    connection.commit()
    with pytest.raises(StoreError):
        broker.release(asked.body())
    connection.execute("DROP TRIGGER full")
    connection.commit()
    connection.close()
    assert broker.release(place.ask(broker).body()).keys


# --- the broker's folder ------------------------------------------------------------------------


def test_a_broker_keeps_its_key_to_itself_and_is_never_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "broker"
    made = create_broker(folder, "insurer-broker").describe()
    assert read_broker_keys(folder).custody.describe() == made
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    with pytest.raises(ConflictError):
        create_broker(folder, "insurer-broker")
    assert read_broker_keys(folder).custody.describe() == made


def test_a_custody_that_is_there_becomes_the_brokers(tmp_path: Path) -> None:
    made = create_custody(tmp_path).describe()
    assert create_broker(tmp_path, "insurer-broker").describe() == made


def test_a_broker_without_key_policy_or_reference_values_does_not_start(tmp_path: Path) -> None:
    place = Installation(tmp_path)
    folder = tmp_path / "broker"

    def start() -> object:
        return open_broker(folder, clock=place.clock, log=lambda _event, _fields: None)

    with pytest.raises(SettingsError, match="no key broker"):
        start()
    create_broker(folder, "insurer-broker")
    with pytest.raises(SettingsError, match="no policy"):
        start()
    write_policy(folder, place.policy(), place.reference_values())
    assert start()
    for name in ("policy.json", "reference-values.json"):
        genuine = (folder / name).read_bytes()
        for damaged in (b"", b"{}", genuine[:-1], genuine.replace(b"{", b'{"extra":1,', 1)):
            (folder / name).write_bytes(damaged)
            with pytest.raises(MalformedError):
                start()
        (folder / name).unlink()
        with pytest.raises(SettingsError):
            start()
        (folder / name).write_bytes(genuine)


def test_a_missing_or_damaged_custody_is_noticed_at_the_start(tmp_path: Path) -> None:
    create_broker(tmp_path, "insurer-broker")
    (tmp_path / "custody.json").write_text('{"format_version":1,"keys":[]}')
    with pytest.raises(MalformedError):
        read_broker_keys(tmp_path)
    (tmp_path / "custody.json").unlink()
    with pytest.raises(SettingsError, match="no key custody"):
        read_broker_keys(tmp_path)
