"""Proofs of transparency logs in a run bundle: asked for by the reader, and bound to the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from manatee.attestation import Mark
from manatee.bundle import read_bundle, read_statement, run_entry, verify_bundle
from manatee.ledger import ED25519, EntryLog, new_signer
from manatee.records import BrokerSession, canonical_json, parse_json, to_base64, unbase64
from manatee.testing import Installation

replace = msgspec.structs.replace
SIGNER = new_signer("example.org/runs", ED25519)


@pytest.fixture
def own(tmp_path: Path) -> Installation:
    (tmp_path / "own").mkdir()
    return Installation(tmp_path / "own")


@pytest.fixture
def log(tmp_path: Path) -> EntryLog:
    return EntryLog(tmp_path / "log", SIGNER)


def marks(place: Installation, run: Path, **anchors: Any) -> dict[str, Mark]:
    found = verify_bundle(read_bundle(run), trust=place.anchors(**anchors), at=place.clock())
    return {item.name: item.mark for item in found.checks}


def entry_of(run: Path) -> bytes:
    statement, payload, _ = read_statement((run / "run.dsse.json").read_bytes())
    return run_entry(payload, statement.predicate.result.job_digest)


def test_a_logged_run_proves_its_place(own: Installation, log: EntryLog, tmp_path: Path) -> None:
    run = own.write_run(tmp_path / "run")
    log.prove(b"an earlier run")
    (run / "log.tlog-proof").write_bytes(log.prove(entry_of(run)))
    assert marks(own, run, run_log=log.trust())["log"] is Mark.PASSED
    assert marks(own, run)["log"] is Mark.NOT_APPLICABLE
    assert marks(own, run)["contents"] is Mark.PASSED


def test_whoever_asks_for_a_log_gets_no_run_without_proof(
    own: Installation, log: EntryLog, tmp_path: Path
) -> None:
    run = own.write_run(tmp_path / "run")
    assert marks(own, run, run_log=log.trust())["log"] is Mark.FAILED


@pytest.mark.parametrize("proof", [b"", b"garbage", b"c2sp.org/tlog-proof@v1\nindex 0\n\n"])
def test_a_proof_that_is_none_is_refused(
    own: Installation, log: EntryLog, tmp_path: Path, proof: bytes
) -> None:
    run = own.write_run(tmp_path / "run")
    (run / "log.tlog-proof").write_bytes(proof)
    assert marks(own, run, run_log=log.trust())["log"] is Mark.FAILED


def test_cve_2022_36056_the_proof_of_another_run_is_refused(
    own: Installation, log: EntryLog, tmp_path: Path
) -> None:
    run = own.write_run(tmp_path / "run")
    log.prove(entry_of(run))
    other = run_entry(b"another statement", own.job_digest)
    (run / "log.tlog-proof").write_bytes(log.prove(other))
    assert marks(own, run, run_log=log.trust())["log"] is Mark.FAILED


def test_the_proof_of_another_log_is_refused(
    own: Installation, log: EntryLog, tmp_path: Path
) -> None:
    run = own.write_run(tmp_path / "run")
    foreign = EntryLog(tmp_path / "foreign", new_signer(SIGNER.name, ED25519))
    (run / "log.tlog-proof").write_bytes(foreign.prove(entry_of(run)))
    assert marks(own, run, run_log=log.trust())["log"] is Mark.FAILED


def test_an_entry_stands_once_however_often_it_is_asked_for(log: EntryLog, tmp_path: Path) -> None:
    proofs = {log.prove(b"a"), log.prove(b"a"), EntryLog(tmp_path / "log", SIGNER).prove(b"a")}
    assert len(proofs) == 1
    assert b"index 1\n" in log.prove(b"b")


# --- decisions of key brokers ---------------------------------------------------------------------


def test_key_releases_are_found_in_their_broker_s_log(own: Installation, tmp_path: Path) -> None:
    run = own.write_run(tmp_path / "run")
    logs = {own.broker_id: own.broker()._decisions.trust()}
    assert marks(own, run, broker_logs=logs)["decisions"] is Mark.PASSED
    assert marks(own, run, broker_logs={"bank-broker": logs[own.broker_id]})["decisions"] is (
        Mark.NOT_APPLICABLE
    )


def changed(kept: BrokerSession, **members: Any) -> BrokerSession:
    body = canonical_json(parse_json(unbase64(kept.answer.decision)) | members)
    return replace(kept, answer=replace(kept.answer, decision=to_base64(body)))


@pytest.mark.parametrize(
    "session",
    [
        lambda kept: changed(kept, outcome="denied"),
        lambda kept: changed(kept, tier="hardware"),
        lambda kept: replace(kept, answer=replace(kept.answer, log_proof="")),
        lambda kept: replace(kept, answer=replace(kept.answer, decision="")),
        lambda kept: replace(kept, answer=replace(kept.answer, decided_at="2026-03-01T12:00:01Z")),
        lambda kept: replace(kept, answer=replace(kept.answer, keys=kept.answer.keys * 2)),
    ],
)
def test_a_decision_that_is_not_this_release_s_is_found(
    own: Installation, tmp_path: Path, session: Any
) -> None:
    run = own.write_run(tmp_path / "run", session=session)
    logs = {own.broker_id: own.broker()._decisions.trust()}
    assert marks(own, run, broker_logs=logs)["decisions"] is Mark.FAILED
