"""The decision log: append-only, chained, and honest about what is missing."""

from __future__ import annotations

import itertools
import json
import sqlite3
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from manatee.custody import create_custody
from manatee.errors import (
    AuthorizationError,
    ConflictError,
    KeyDeniedError,
    LedgerError,
    LimitError,
    MalformedError,
    SettingsError,
    StoreError,
)
from manatee.keybroker import (
    BrokerStore,
    KeyBroker,
    chain_digest,
    create_broker,
    open_broker,
    read_broker_keys,
    trust_policy_key,
    write_policy,
)
from manatee.keybroker._rates import RateLimiter
from manatee.keybroker._store import Grant
from manatee.ledger import verify_log_proof
from manatee.records import DatasetManifest, canonical_json, digest_bytes, unbase64
from manatee.testing import Installation

JOB = digest_bytes(b"job")
VERSION = digest_bytes(b"version")


def grant(version: str) -> Grant:
    return Grant(version, "insurance", "claims", "ada")


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
    assert store.log(b"next").digest == chain_digest(previous, b"next")


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
    store.grant(JOB, (grant(VERSION),), attempt=1, now=0, decision=b"released")
    with pytest.raises(KeyDeniedError):
        store.grant(
            JOB,
            (grant(digest_bytes(b"new")), grant(VERSION)),
            attempt=2,
            now=0,
            decision=b"released twice",
        )
    assert [entry.body for entry in store.decisions()][3:] == [b"released"]
    new = grant(digest_bytes(b"new"))
    store.grant(JOB, (new,), attempt=2, now=0, decision=b"rolled back before")


def test_a_broken_or_closed_database_is_an_error_of_ours(path: Path, store: BrokerStore) -> None:
    store.close()
    for use in (
        lambda: store.log(b"x"),
        store.decisions,
        lambda: store.use_nonce(b"n", JOB, now=0),
        lambda: store.grant(JOB, (grant(VERSION),), attempt=1, now=0, decision=b"x"),
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
    write_policy(folder, place.signed_policy(), place.reference_values())
    with pytest.raises(SettingsError, match="no policy key"):
        start()
    trust_policy_key(folder, "insurer", place.policy_key())
    assert start()
    for name in ("rules.json", "policy-trust.json"):
        genuine = (folder / name).read_bytes()
        for damaged in (b"", b"{}", genuine[:-1], genuine.replace(b"{", b'{"extra":1,', 1)):
            (folder / name).write_bytes(damaged)
            with pytest.raises(MalformedError):
                start()
        (folder / name).unlink()
        with pytest.raises(SettingsError):
            start()
        (folder / name).write_bytes(genuine)


def opened(folder: Path, place: Installation) -> KeyBroker:
    return open_broker(folder, clock=place.clock, log=lambda _event, _fields: None)


def test_a_policy_key_is_pinned_once(tmp_path: Path) -> None:
    trust_policy_key(tmp_path, "insurer", Installation(tmp_path).policy_key())
    with pytest.raises(ConflictError):
        trust_policy_key(tmp_path, "insurer", "other")


def test_a_policy_of_another_key_provider_or_an_older_version_is_refused(tmp_path: Path) -> None:
    place = Installation(tmp_path)
    folder = tmp_path / "broker"
    create_broker(folder, "insurer-broker")
    trust_policy_key(folder, "insurer", place.policy_key())
    references = place.reference_values()
    write_policy(folder, place.signed_policy(version=5), references)
    opened(folder, place)
    write_policy(folder, place.signed_policy(version=4), references)
    with pytest.raises(AuthorizationError, match="older"):
        opened(folder, place)
    write_policy(folder, place.signed_policy(version=5), references)
    opened(folder, place)
    place.policy_private = bytes(31) + b"\1"
    write_policy(folder, place.signed_policy(version=6), references)
    with pytest.raises(AuthorizationError, match="policy key"):
        opened(folder, place)


def test_every_decision_is_in_the_transparency_log_and_a_crash_before_it_is_made_good(
    tmp_path: Path,
) -> None:
    place = Installation(tmp_path)
    broker = place.broker()
    for _ in range(2):
        with pytest.raises(KeyDeniedError):
            broker.release(place.ask(broker, approvals=()).body())
    # written to the database, and the broker died before it reached the log
    broker._store.log(b"decided before the crash")
    asked = place.ask(broker)
    answer = broker.release(asked.body())
    trust = broker._decisions.trust()
    entry = unbase64(answer.decision)
    found = verify_log_proof(answer.log_proof.encode(), entry, trust)
    assert (found.index, found.tree_size) == (3, 4)
    said = json.loads(entry)
    assert said["outcome"] == "released"
    assert said["job_digest"] == place.job_digest
    with pytest.raises(LedgerError):
        verify_log_proof(answer.log_proof.encode(), entry + b" ", trust)


def test_the_logged_moment_is_the_answers_even_if_the_clock_moves_between(tmp_path: Path) -> None:
    place = Installation(tmp_path)
    broker = place.broker()
    asked = place.ask(broker)
    started = place.clock()
    ticks = itertools.count()
    broker._clock = lambda: started + timedelta(seconds=next(ticks))
    answer = broker.release(asked.body())
    assert json.loads(unbase64(answer.decision))["at"] == answer.decided_at


def test_reasons_are_for_the_provider_and_leave_only_their_digest(tmp_path: Path) -> None:
    place = Installation(tmp_path)
    broker = place.broker()
    with pytest.raises(KeyDeniedError):
        broker.release(place.ask(broker, approvals=()).body())
    (entry,) = broker._store.decisions()
    (reasons,) = broker._store.reasons().values()
    assert "approvals" in reasons
    assert reasons not in entry.body.decode()
    assert len(json.loads(entry.body)["reasons_sha256"]) == len("sha256:") + 64


def test_a_database_of_another_version_is_refused(tmp_path: Path) -> None:
    BrokerStore(tmp_path / "a.db").close()
    connection = sqlite3.connect(tmp_path / "a.db")
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    with pytest.raises(StoreError, match="another version"):
        BrokerStore(tmp_path / "a.db")


def test_a_clock_that_goes_back_stops_every_release_even_after_a_restart(tmp_path: Path) -> None:
    place = Installation(tmp_path)
    broker = place.broker()
    asked = place.ask(broker)
    place.clock.advance(3600)
    place.nonce(broker)
    place.clock.advance(-3600)
    for running in (broker, place.broker()):
        with pytest.raises(KeyDeniedError, match="clock"):
            running.release(asked.body())
        with pytest.raises(KeyDeniedError, match="clock"):
            place.nonce(running)
    place.clock.advance(3600)
    assert place.nonce(broker)


def test_a_flood_of_challenges_meets_its_limit_and_the_bucket_refills(tmp_path: Path) -> None:
    now = [0.0]
    limiter = RateLimiter(per_minute=60, burst=3, monotonic=lambda: now[0])
    for _ in range(3):
        limiter.take("a")
    with pytest.raises(LimitError):
        limiter.take("a")
    limiter.take("b")
    now[0] = 1.0
    limiter.take("a")
    with pytest.raises(LimitError):
        limiter.take("a")


def test_the_broker_itself_is_limited_per_job(tmp_path: Path) -> None:
    place = Installation(tmp_path)
    broker = place.broker()
    broker._per_job._monotonic = lambda: 0.0  # no time passes
    for _ in range(120):
        place.nonce(broker)
    with pytest.raises(LimitError):
        place.nonce(broker)
    assert place.nonce(broker, job_digest=digest_bytes(b"another job"))


def test_a_challenge_for_an_unknown_or_another_kind_is_refused(tmp_path: Path) -> None:
    place = Installation(tmp_path)
    broker = place.broker()
    body = {"kind": "sgx", "job_digest": place.job_digest}
    with pytest.raises(KeyDeniedError, match="kind"):
        broker.challenge(canonical_json(body))
    asked = place.ask(broker)
    other = broker.challenge(canonical_json(body | {"kind": "tpm2"}))
    request = place.ask(broker, nonce=other.nonce)
    assert asked
    with pytest.raises(KeyDeniedError):
        broker.release(request.body())


class OneRun:
    """A budget of one run, that remembers what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.free = 1

    def left(self, datasets: tuple[DatasetManifest, ...]) -> dict[str, int]:
        return {dataset.name: self.free * 1_000_000 for dataset in datasets}

    def reserve(
        self, job_digest: str, datasets: tuple[DatasetManifest, ...], *, twin_report: bool
    ) -> None:
        if not self.free:
            raise KeyDeniedError("budget", "the budget is spent.")
        self.free -= 1
        self.said.append("reserve")

    def commit(self, job_digest: str) -> None:
        self.said.append("commit")

    def cancel(self, job_digest: str) -> None:
        self.free += 1
        self.said.append("cancel")


def test_budget_is_reserved_before_the_grant_and_given_back_if_there_is_none(
    tmp_path: Path,
) -> None:
    place = Installation(tmp_path)
    broker = place.broker()
    budget = broker._budget = OneRun()
    broker.release(place.ask(broker).body())
    assert budget.said == ["reserve", "commit"]
    with pytest.raises(KeyDeniedError, match="budget"):
        broker.release(place.ask(broker).body())
    budget.free = 1
    with pytest.raises(KeyDeniedError, match="grant"):  # a job runs once
        broker.release(place.ask(broker).body())
    assert budget.said == ["reserve", "commit", "reserve", "cancel"]
    assert budget.free == 1


def test_a_missing_or_damaged_custody_is_noticed_at_the_start(tmp_path: Path) -> None:
    create_broker(tmp_path, "insurer-broker")
    (tmp_path / "custody.json").write_text('{"format_version":1,"keys":[]}')
    with pytest.raises(MalformedError):
        read_broker_keys(tmp_path)
    (tmp_path / "custody.json").unlink()
    with pytest.raises(SettingsError, match="no key custody"):
        read_broker_keys(tmp_path)
