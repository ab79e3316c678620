"""A broker's policy may change while it serves: at once, forward only, and never by halves."""

from __future__ import annotations

import json
import sqlite3
import threading
from pathlib import Path

import msgspec
import pytest

from manatee.attestation import ReferenceValues
from manatee.errors import AuthorizationError, KeyDeniedError, MalformedError, StoreError
from manatee.keybroker import (
    BrokerStore,
    KeyBroker,
    create_broker,
    install_policy,
    open_broker,
    trust_policy_key,
    write_policy,
)
from manatee.keybroker._rules import RULES_TAKEN
from manatee.policy import ACCEPT_SIMULATED
from manatee.records import digest_bytes, digest_record, parse_json
from manatee.testing import Installation


class Served:
    """An installation whose broker runs over a folder, as `manatee keybroker serve` does."""

    def __init__(self, folder: Path) -> None:
        self.place = Installation(folder)
        self.folder = folder / "broker"
        self.place.custody = create_broker(self.folder, self.place.broker_id)
        trust_policy_key(self.folder, self.place.provider, self.place.policy_key())
        self.place.dataset = self.place.make_dataset("insurance")
        self.submission = 0
        self.install(version=1)
        self.broker = self.start()

    def start(self) -> KeyBroker:
        return open_broker(
            self.folder,
            clock=self.place.clock,
            log=lambda _event, _fields: None,
            insecure_settings=(ACCEPT_SIMULATED,),
        )

    def install(self, references: ReferenceValues | None = None, **members: object) -> int:
        signed = self.place.signed_policy(**members)
        values = references or self.place.reference_values()
        return install_policy(self.folder, signed, values, clock=self.place.clock)

    def ask(self) -> None:
        """Run another submission of the job."""
        self.submission += 1
        self.place.manifest = msgspec.structs.replace(
            self.place.manifest,
            submission=self.submission,
            datasets=(self.place.use(self.place.dataset),),
        )
        self.broker.release(self.place.ask(self.broker).body())

    def refused(self) -> str:
        with pytest.raises(KeyDeniedError) as error:
            self.ask()
        return error.value.check

    def last(self) -> tuple[dict[str, object], str]:
        store = BrokerStore(self.folder / "broker.db")
        entry = store.decisions()[-1]
        reasons = store.reasons().get(entry.seq, "")
        store.close()
        return parse_json(entry.body), reasons


@pytest.fixture
def served(tmp_path: Path) -> Served:
    return Served(tmp_path)


def test_a_new_policy_holds_from_the_next_request_on_without_a_restart(served: Served) -> None:
    served.ask()
    assert served.last()[0]["policy_version"] == 1
    served.install(version=2, researchers=("grace",))
    assert served.refused() == "researcher"
    served.install(version=3)
    served.ask()
    assert served.last()[0]["policy_version"] == 3


def test_an_older_policy_put_back_while_the_broker_runs_releases_nothing(served: Served) -> None:
    loose = (served.folder / "rules.json").read_bytes()
    served.install(version=2, researchers=("grace",))
    assert served.refused() == "researcher"
    (served.folder / "rules.json").write_bytes(loose)
    assert served.refused() == "policy"
    decision, reasons = served.last()
    assert (decision["outcome"], decision["check"]) == ("denied", "policy")
    assert "older than 2" in reasons


def test_an_older_policy_is_refused_by_the_command_though_no_request_came_between(
    served: Served,
) -> None:
    served.install(version=2)
    with pytest.raises(AuthorizationError, match="older than 2"):
        served.install(version=1)
    served.ask()
    assert served.last()[0]["policy_version"] == 2


def test_two_policies_of_one_version_are_not_swapped_for_one_another(served: Served) -> None:
    loose = (served.folder / "rules.json").read_bytes()
    with pytest.raises(AuthorizationError, match="another policy of version 1"):
        served.install(version=1, researchers=("grace",))
    assert (served.folder / "rules.json").read_bytes() == loose
    served.ask()


@pytest.mark.parametrize("damage", ["gone", "half", "foreign key", "old dates"])
def test_rules_that_cannot_be_taken_stop_every_release_until_they_are_mended(
    served: Served, damage: str
) -> None:
    path, place = served.folder / "rules.json", served.place
    genuine = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "half":
        path.write_bytes(genuine[:-20])
    elif damage == "foreign key":
        own, place.policy_private = place.policy_private, bytes(31) + b"\1"
        write_policy(served.folder, place.signed_policy(version=2), place.reference_values())
        place.policy_private = own
    else:
        signed = place.signed_policy(version=2, valid_until="2026-02-28T12:00:01Z")
        write_policy(served.folder, signed, place.reference_values())
    assert served.refused() == "policy"
    assert served.refused() == "policy"  # nor do the rules of before come back by asking again
    path.write_bytes(genuine)
    served.ask()


def test_a_policy_that_runs_out_while_the_broker_runs_releases_nothing(served: Served) -> None:
    served.ask()
    served.place.clock.advance(31 * 86400)
    assert served.refused() == "dates"


def test_new_reference_values_come_with_their_policy(served: Served) -> None:
    given = json.loads((served.folder / "rules.json").read_bytes())
    assert given["reference_values"]["runtime_digests"] == [served.place.runtime_digest]
    known = served.place.runtime_digest
    served.place.runtime_digest = digest_bytes(b"another runtime")
    served.install(version=2)
    served.place.runtime_digest = known
    assert served.refused() == "runtime"


def test_a_crash_between_remembering_and_writing_a_policy_lets_no_older_one_in(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "no space left")

    with monkeypatch.context() as broken:
        broken.setattr("manatee.keybroker._rules.os.fsync", full)
        with pytest.raises(StoreError):
            served.install(version=2, researchers=("grace",))
    assert sorted(path.name for path in served.folder.glob(".rules*")) == []
    with pytest.raises(AuthorizationError, match="older"):
        served.start()
    served.install(version=2, researchers=("grace",))
    assert served.refused() == "researcher"


def test_a_request_in_hand_is_decided_by_one_version(served: Served) -> None:
    """Policies change all the while: each answer is wholly one's or the other's."""
    stop = threading.Event()

    def change() -> None:
        version = 1
        while not stop.wait(0.002) and version < 40:
            version += 1
            served.install(version=version)

    changing = threading.Thread(target=change)
    changing.start()
    try:
        for _ in range(5):
            served.ask()
    finally:
        stop.set()
        changing.join()
    store = BrokerStore(served.folder / "broker.db")
    entries = [parse_json(entry.body) for entry in store.decisions()]
    store.close()
    taken = [entry["policy_version"] for entry in entries if entry["outcome"] == RULES_TAKEN]
    assert taken == list(range(1, taken[-1] + 1))
    versions = [entry["policy_version"] for entry in entries if entry["outcome"] == "released"]
    assert len(versions) == 5
    assert versions == sorted(versions)


def test_a_policy_mark_cannot_be_lowered(tmp_path: Path) -> None:
    store = BrokerStore(tmp_path / "broker.db")
    assert store.policy_version() == 0
    store.take_policy(7, "a", rules="a", entry=b"taken")
    with pytest.raises(AuthorizationError):
        store.take_policy(6, "b", rules="b", entry=b"not taken")
    assert store.policy_version() == 7
    assert [entry.body for entry in store.decisions()] == [b"taken"]
    store.close()
    with sqlite3.connect(tmp_path / "broker.db") as connection:
        assert connection.execute("SELECT count(*) FROM policies").fetchone() == (1,)


def test_every_change_of_what_is_decided_by_stands_in_the_log_before_its_first_decision(
    served: Served,
) -> None:
    served.ask()
    served.install(version=2)
    served.install(version=2)  # nothing changed
    served.ask()
    served.start()  # nor here
    other = msgspec.structs.replace(served.place.reference_values(), roots={})
    served.install(version=2, references=other)
    store = BrokerStore(served.folder / "broker.db")
    entries = [parse_json(entry.body) for entry in store.decisions()]
    store.close()
    said = [(entry["outcome"], entry["policy_version"]) for entry in entries]
    assert said == [
        (RULES_TAKEN, 1),
        ("released", 1),
        (RULES_TAKEN, 2),
        ("released", 2),
        (RULES_TAKEN, 2),
    ]
    first, second, third = (entry for entry in entries if entry["outcome"] == RULES_TAKEN)
    assert first["policy_sha256"] != second["policy_sha256"] == third["policy_sha256"]
    values = "reference_values_sha256"
    assert first[values] == second[values] != third[values] == digest_record(other)


def test_a_rules_file_of_another_version_is_malformed(served: Served) -> None:
    path = served.folder / "rules.json"
    path.write_bytes(path.read_bytes().replace(b'"format_version":1', b'"format_version":2'))
    with pytest.raises(MalformedError):
        served.start()
