"""Run bundles: a genuine one verifies; for every check, a lie that only it finds."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace as with_member
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from manatee.attestation import Mark
from manatee.budgets import BudgetLedger
from manatee.bundle import (
    NOTHING_TRUSTED,
    Verification,
    make_statement,
    read_bundle,
    verify_bundle,
    write_bundle,
)
from manatee.custody import wrap_data_key
from manatee.errors import (
    BundleError,
    ConflictError,
    ManateeError,
    NotVerifiedError,
    WorkspaceError,
)
from manatee.keybroker import LedgerBudget
from manatee.policy import ACCEPT_SIMULATED, REAL_BELOW_HARDWARE
from manatee.records import (
    BrokerSession,
    Cause,
    Evidence,
    ExitStatus,
    GuestResult,
    NoisyCounts,
    OutputEntry,
    OutputFile,
    RunOutputs,
    RunPredicate,
    Tier,
    TwinReport,
    canonical_json,
    digest_bytes,
    read_record,
    report_data,
    to_base64,
    unbase64,
)
from manatee.testing import VISITS_ORDER, EvidenceForge, Installation

OTHER = digest_bytes(b"other")
replace = msgspec.structs.replace


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Installation, Path]:
    folder = tmp_path_factory.mktemp("place")
    place = Installation(folder)
    return place, place.write_run(folder / "run")


@pytest.fixture
def place(shared: tuple[Installation, Path]) -> Installation:
    return shared[0]


@pytest.fixture
def run(shared: tuple[Installation, Path], tmp_path: Path) -> Path:
    """A copy of the genuine bundle, to be damaged."""
    shutil.copytree(shared[1], tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def own(tmp_path: Path) -> Installation:
    """An installation of one's own, whose guest may lie."""
    (tmp_path / "own").mkdir()
    return Installation(tmp_path / "own")


def verify(place: Installation, run: Path, **anchors: Any) -> Verification:
    return verify_bundle(read_bundle(run), trust=place.anchors(**anchors), at=place.clock())


def failed(found: Verification) -> list[str]:
    return [item.name for item in found.checks if item.mark is Mark.FAILED]


def test_a_genuine_bundle_verifies_and_says_that_its_tee_is_none(
    place: Installation, run: Path
) -> None:
    found = verify(place, run)
    found.require()
    assert found.verified
    assert found.simulated
    assert found.job_digest == place.job_digest
    assert found.insecure_settings == (ACCEPT_SIMULATED,)
    marks = {item.name: item.mark for item in found.checks}
    assert marks.pop("log") is Mark.NOT_APPLICABLE
    assert marks.pop("decisions") is Mark.NOT_APPLICABLE
    assert set(marks.values()) == {Mark.PASSED}
    assert len(marks) == 14
    shown = {item.name: item.reason for item in found.checks}
    assert "SIMULATED TEE IS NOT HARDWARE" in shown["tier"]
    assert ACCEPT_SIMULATED in shown["keys"]


def test_nothing_is_verified_when_nothing_was_checked() -> None:
    empty = Verification((), None, "", ())
    assert not empty.verified
    with pytest.raises(NotVerifiedError, match="nothing was checked"):
        empty.require()


# --- the reader's own anchors -------------------------------------------------------------------


def test_a_reader_who_trusts_nothing_verifies_nothing(place: Installation, run: Path) -> None:
    found = verify_bundle(read_bundle(run), trust=NOTHING_TRUSTED, at=place.clock())
    assert {"evidence", "tier", "approvals", "keys"} <= set(failed(found))
    assert found.tier is None


@pytest.mark.parametrize("tier", [Tier.HARDWARE, Tier.HARDWARE_VTPM, Tier.SOFTWARE_TPM])
def test_a_simulated_run_is_not_enough_for_who_asks_for_more(
    place: Installation, run: Path, tier: Tier
) -> None:
    assert failed(verify(place, run, minimum_tier=tier)) == ["tier", "keys"]


@pytest.mark.parametrize("approvers", [{}, {"insurer": ()}, {"bank": "theirs"}, {"insurer": "x"}])
def test_an_approval_by_nobody_the_reader_trusts_counts_nothing(
    place: Installation, run: Path, approvers: dict[str, Any]
) -> None:
    keys = {"theirs": (place.approver_key(),), "x": (to_base64(bytes(32)),), (): ()}
    given = {name: keys[which] for name, which in approvers.items()}
    assert failed(verify(place, run, approvers=given)) == ["approvals"]


def test_a_runtime_the_reader_does_not_know_is_refused(place: Installation, run: Path) -> None:
    references = replace(place.reference_values(), runtime_digests=(OTHER,))
    assert "evidence" in failed(verify(place, run, reference_values=references))


def test_another_installations_root_is_refused(place: Installation, run: Path) -> None:
    roots = EvidenceForge.new(place.clock()).roots()
    references = replace(place.reference_values(), roots=roots)
    assert "evidence" in failed(verify(place, run, reference_values=references))


def test_a_bundle_verifies_years_later_but_not_before_it_was_made(
    place: Installation, run: Path
) -> None:
    contents = read_bundle(run)
    for days, good in ((5 * 365, True), (11 * 365, False), (-1, False)):
        at = place.clock() + timedelta(days=days)
        assert verify_bundle(contents, trust=place.anchors(), at=at).verified is good


# --- one file changed ---------------------------------------------------------------------------

NO_COMMITMENT = "hmac-sha256:" + "0" * 64

FILES = {
    "run.dsse.json": {"statement", "signature", "evidence"},
    "evidence.json": {"evidence"},
    "manifest.json": {"job"},
    "workspace/analysis.ipynb": {"workspace"},
    "workspace/helpers.py": {"workspace"},
    "outputs/notebook.ipynb": {"outputs"},
    "outputs/table.csv": {"outputs"},
    "outputs.salt": {"outputs"},
}


@pytest.mark.parametrize("name", sorted(FILES))
def test_no_flipped_bit_verifies_and_the_check_that_failed_is_named(
    place: Installation, run: Path, name: str
) -> None:
    path = run / name
    genuine = path.read_bytes()
    contents = read_bundle(run)
    members = {
        "run.dsse.json": "envelope",
        "evidence.json": "evidence",
        "manifest.json": "manifest",
    }
    step = max(1, len(genuine) // 60)
    for position in range(0, len(genuine), step):
        damaged = bytearray(genuine)
        damaged[position] ^= 1 << position % 8
        if name in members:
            given = with_member(contents, **{members[name]: bytes(damaged)})
        else:
            path.write_bytes(damaged)
            given = read_bundle(run)
        found = verify_bundle(given, trust=place.anchors(), at=place.clock())
        assert not found.verified, position
        assert FILES[name] & set(failed(found)), position
        with pytest.raises(NotVerifiedError):
            found.require()


@pytest.mark.parametrize("name", sorted(FILES))
@pytest.mark.parametrize("tail", [b"\n", b"\0", b"{}"])
def test_bytes_after_the_end_are_noticed(
    place: Installation, run: Path, name: str, tail: bytes
) -> None:
    (run / name).write_bytes((run / name).read_bytes() + tail)
    assert FILES[name] & set(failed(verify(place, run)))


@pytest.mark.parametrize("name", ["run.dsse.json", "evidence.json", "manifest.json"])
@pytest.mark.parametrize("data", [b"", b"{}", b"null", b"[" * 5000, b"\xff\xfe"])
def test_files_that_are_something_else_fail_and_never_crash(
    place: Installation, run: Path, name: str, data: bytes
) -> None:
    (run / name).write_bytes(data)
    assert FILES[name] & set(failed(verify(place, run)))


# --- what stands in the folder ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["run.dsse.json", "evidence.json", "manifest.json"])
def test_a_bundle_without_one_of_its_files_is_none(run: Path, name: str) -> None:
    (run / name).unlink()
    with pytest.raises(BundleError, match="missing"):
        read_bundle(run)


@pytest.mark.parametrize("name", ["workspace", "outputs"])
def test_a_bundle_without_one_of_its_folders_is_none(run: Path, name: str) -> None:
    shutil.rmtree(run / name)
    with pytest.raises(BundleError, match="no folder"):
        read_bundle(run)


@pytest.mark.parametrize("name", [name for name in sorted(FILES) if "/" in name])
def test_a_removed_file_is_named(place: Installation, run: Path, name: str) -> None:
    (run / name).unlink()
    found = verify(place, run)
    assert FILES[name] <= set(failed(found))


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("README", "contents"),
        (".hidden", "contents"),
        ("outputs/more.csv", "outputs"),
        ("outputs/deep/more.csv", "outputs"),
        ("workspace/more.py", "workspace"),
        ("workspace/__pycache__/helpers.cpython-311.pyc", "contents"),
        ("workspace/helpers.pyc", "contents"),
        ("workspace/.git/hooks/post-checkout", "contents"),
        ("workspace/.venv/bin/python", "contents"),
    ],
)
def test_a_stowaway_is_noticed(place: Installation, run: Path, name: str, check: str) -> None:
    (run / name).parent.mkdir(parents=True, exist_ok=True)
    (run / name).write_bytes(b"payload")
    assert failed(verify(place, run)) == [check]


def test_an_empty_folder_among_the_outputs_is_a_stowaway(place: Installation, run: Path) -> None:
    (run / "outputs" / "empty").mkdir()
    assert failed(verify(place, run)) == ["contents"]


def test_a_stowaways_name_cannot_write_on_the_readers_screen(
    place: Installation, run: Path
) -> None:
    (run / "\x1b[2J\x1b[32mVERIFIED").write_bytes(b"")
    (run / "outputs" / "\x1b[1A\r").write_bytes(b"")
    (run / os.fsdecode(b"\xff")).write_bytes(b"")
    found = verify(place, run)
    assert failed(found) == ["outputs", "contents"]
    for item in found.checks:
        assert item.reason.isprintable(), item.name


@pytest.mark.parametrize("name", [*sorted(FILES), "outputs", "workspace", "evidence.json"])
def test_links_are_refused(run: Path, name: str) -> None:
    (run / name).rename(run.parent / "elsewhere")
    (run / name).symlink_to(run.parent / "elsewhere")
    with pytest.raises(BundleError):
        read_bundle(run)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("name", ["run.dsse.json", "outputs/pipe", "workspace/pipe"])
def test_a_pipe_in_a_files_place_does_not_hold_the_reader(run: Path, name: str) -> None:
    (run / name).unlink(missing_ok=True)
    os.mkfifo(run / name)
    with pytest.raises(BundleError):
        read_bundle(run)


def test_what_is_no_folder_is_no_bundle(run: Path) -> None:
    for path in (run / "manifest.json", run / "nothing"):
        with pytest.raises(BundleError, match="no folder"):
            read_bundle(path)


# --- lies of a guest that attests ---------------------------------------------------------------

Lie = Callable[[RunPredicate], RunPredicate]


def result(predicate: RunPredicate, **members: Any) -> RunPredicate:
    return replace(predicate, result=replace(predicate.result, **members))


def disclosure(predicate: RunPredicate, **members: Any) -> RunPredicate:
    return result(predicate, disclosure=replace(predicate.result.disclosure, **members))


REPORT = TwinReport(
    dataset="insurance",
    rho="1/2",
    unit="row",
    most_rows=1,
    columns=(),
    measured=(NoisyCounts(what="records", counts=(9,), scale=2.0),),
)

FAILED_EXIT = ExitStatus(succeeded=False, cells_run=1, cells_total=2, cause=Cause.CELL_ERROR)

LIES: dict[str, tuple[Lie, list[str]]] = {
    "another job digest": (
        lambda said: result(said, job_digest=OTHER),
        ["job", "approvals", "keys"],
    ),
    "another manifest": (
        lambda said: replace(said, manifest=replace(said.manifest, purpose="Else.")),
        ["job"],
    ),
    "no data sets": (lambda said: replace(said, datasets=()), ["datasets", "approvals", "keys"]),
    "data set twice": (lambda said: replace(said, datasets=said.datasets * 2), ["datasets"]),
    "no approvals": (lambda said: replace(said, approvals=()), ["approvals"]),
    "no key release": (lambda said: replace(said, key_releases=()), ["approvals", "keys"]),
    "no insecure setting": (lambda said: replace(said, insecure_settings=()), ["keys"]),
    "one more insecure setting": (
        lambda said: replace(said, insecure_settings=(ACCEPT_SIMULATED, REAL_BELOW_HARDWARE)),
        ["keys"],
    ),
    "another output policy": (
        lambda said: replace(said, output_policy=replace(said.output_policy, max_files=99)),
        ["disclosure"],
    ),
    "no disclosure checks": (lambda said: disclosure(said, checks=()), ["disclosure"]),
    "a failed disclosure check": (
        lambda said: disclosure(
            said, checks=(replace(said.result.disclosure.checks[0], passed=False),)
        ),
        ["disclosure"],
    ),
    "checks under another policy": (
        lambda said: disclosure(said, policy_digest=OTHER),
        ["disclosure"],
    ),
    "a failed run": (lambda said: result(said, exit=FAILED_EXIT), ["disclosure"]),
    "a report that the job did not ask for": (
        lambda said: result(said, twin_reports=(REPORT,)),
        ["twin-reports"],
    ),
    "no outputs": (lambda said: result(said, outputs=()), ["outputs"]),
    "one output more": (
        lambda said: result(
            said,
            outputs=(
                *said.result.outputs,
                OutputEntry(path="x.csv", commitment=NO_COMMITMENT),
            ),
        ),
        ["outputs"],
    ),
}


@pytest.mark.parametrize("lie", sorted(LIES))
def test_a_lie_under_a_genuine_signature_is_found(
    own: Installation, tmp_path: Path, lie: str
) -> None:
    change, checks = LIES[lie]
    run = own.write_run(tmp_path / "run", predicate=change)
    assert failed(verify(own, run)) == checks


REPORTS: dict[str, tuple[TwinReport, ...]] = {
    "none": (),
    "twice": (REPORT, REPORT),
    "at a higher price": (replace(REPORT, rho="3/2"),),
    "for another unit": (replace(REPORT, unit="person"),),
    "of more rows": (replace(REPORT, most_rows=2),),
    "of another data set": (replace(REPORT, dataset="bills"),),
}


@pytest.mark.parametrize("lie", [*REPORTS, ""])
def test_a_twin_report_at_another_price_than_allowed_is_found(
    own: Installation, tmp_path: Path, lie: str
) -> None:
    own.ask_for_twin_report(VISITS_ORDER)
    ledger = BudgetLedger(tmp_path / "ledger.sqlite")
    ledger.set_limit("insurance", epsilon=100.0, delta=1e-3)
    reports = REPORTS[lie] if lie else (REPORT,)
    run = own.write_run(
        tmp_path / "run",
        predicate=lambda said: result(said, twin_reports=reports),
        budget=LedgerBudget(ledger, {}),
    )
    assert failed(verify(own, run)) == (["twin-reports"] if lie else [])


def session_of(session: BrokerSession, **members: Any) -> BrokerSession:
    return replace(session, answer=replace(session.answer, **members))


SESSIONS: dict[str, Callable[[BrokerSession], BrokerSession]] = {
    "answer of another broker": lambda kept: session_of(kept, broker_id="bank-broker"),
    "a better tier": lambda kept: session_of(kept, tier="hardware"),
    "no keys": lambda kept: session_of(kept, keys=()),
    "the key of another data set": lambda kept: session_of(
        kept, keys=(replace(kept.answer.keys[0], dataset_version=OTHER),)
    ),
    "another nonce": lambda kept: replace(kept, nonce=to_base64(bytes(32))),
    "another session key": lambda kept: replace(kept, session_key=to_base64(bytes(32))),
    "no evidence": lambda kept: replace(kept, evidence=()),
    "evidence twice": lambda kept: replace(kept, evidence=kept.evidence * 2),
    "insecure setting hidden by the relay": lambda kept: session_of(kept, insecure_settings=()),
}


@pytest.mark.parametrize("lie", sorted(SESSIONS))
def test_a_key_release_that_does_not_fit_the_run_is_found(
    own: Installation, tmp_path: Path, lie: str
) -> None:
    run = own.write_run(tmp_path / "run", session=SESSIONS[lie])
    assert failed(verify(own, run)) == ["keys"]


def test_a_key_release_by_a_broker_that_did_not_decide_is_found(
    own: Installation, tmp_path: Path
) -> None:
    def foreign(kept: BrokerSession) -> BrokerSession:
        return replace(session_of(kept, broker_id="bank-broker"), broker_id="bank-broker")

    run = own.write_run(tmp_path / "run", session=foreign)
    # nobody knows when the provider's own broker decided, so its approval has no moment either
    assert failed(verify(own, run)) == ["approvals", "keys"]


@pytest.mark.parametrize("when", ["2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"])
def test_an_approval_must_have_been_valid_when_the_broker_decided(
    own: Installation, tmp_path: Path, when: str
) -> None:
    run = own.write_run(tmp_path / "run", session=lambda kept: session_of(kept, decided_at=when))
    assert failed(verify(own, run)) == ["approvals"]


def test_an_impossible_time_of_decision_is_refused(own: Installation, tmp_path: Path) -> None:
    run = own.write_run(
        tmp_path / "run", session=lambda kept: session_of(kept, decided_at="2026-02-30T00:00:00Z")
    )
    assert failed(verify(own, run)) == ["approvals"]


@pytest.mark.parametrize(
    "claims", [{"job_digest": OTHER}, {"runtime_digest": OTHER}, {"debug": True}]
)
def test_a_key_release_attested_otherwise_is_found(
    own: Installation, tmp_path: Path, claims: dict[str, Any]
) -> None:
    def other(kept: BrokerSession) -> BrokerSession:
        bound = own.bound(unbase64(kept.nonce), unbase64(kept.session_key))
        evidence = own.device.quote(report_data(bound), own.claims(**claims))
        return replace(kept, evidence=(evidence,))

    run = own.write_run(tmp_path / "run", session=other)
    references = replace(own.reference_values(), runtime_digests=(own.runtime_digest, OTHER))
    assert failed(verify(own, run, reference_values=references)) == ["keys"]


def test_a_broker_that_does_not_hold_a_key_cannot_have_released_it(
    own: Installation, tmp_path: Path
) -> None:
    genuine = own.dataset
    foreign = wrap_data_key(own.data_key, genuine, "bank-broker", own.custody)
    moved = replace(genuine, wrapped_key=foreign)

    def lie(said: RunPredicate) -> RunPredicate:
        return replace(said, datasets=(moved,))

    run = own.write_run(tmp_path / "run", predicate=lie)
    assert failed(verify(own, run)) == ["datasets", "approvals", "keys"]


def test_real_data_released_below_hardware_must_say_so(own: Installation, tmp_path: Path) -> None:
    own.dataset = own.make_dataset("patients", label="real")
    own.manifest = replace(own.manifest, datasets=(own.use(own.dataset),))
    both = (ACCEPT_SIMULATED, REAL_BELOW_HARDWARE)
    honest = own.write_run(tmp_path / "honest", insecure_settings=both)
    found = verify(own, honest)
    assert found.verified
    assert found.insecure_settings == both
    hidden = own.write_run(
        tmp_path / "hidden",
        insecure_settings=both,
        session=lambda kept: session_of(kept, insecure_settings=(ACCEPT_SIMULATED,)),
    )
    assert failed(verify(own, hidden)) == ["keys"]


@pytest.mark.parametrize(
    ("claims", "checks"),
    [
        ({"job_digest": OTHER}, ["job"]),
        ({"runtime_digest": OTHER}, ["runtime"]),
        ({"debug": True}, ["evidence", "tier", "job", "runtime", "approvals"]),
    ],
)
def test_a_result_attested_otherwise_is_found(
    own: Installation, tmp_path: Path, claims: dict[str, Any], checks: list[str]
) -> None:
    run = own.write_run(tmp_path / "run", claims=own.claims(**claims))
    references = replace(own.reference_values(), runtime_digests=(own.runtime_digest, OTHER))
    assert failed(verify(own, run, reference_values=references)) == checks


def test_a_rehearsal_proves_nothing(own: Installation, tmp_path: Path) -> None:
    run = own.write_run(tmp_path / "run")
    said = own.predicate(own.session(own.broker(state="again.db")))
    own.manifest = replace(said.manifest, stage="rehearsal")  # evidence and bindings fit it
    said = result(replace(said, manifest=own.manifest), job_digest=own.job_digest)
    resign(own, run, said)
    (run / "manifest.json").write_bytes(canonical_json(own.manifest))
    assert "job" in failed(verify(own, run))
    (job,) = [item for item in verify(own, run).checks if item.name == "job"]
    assert "rehearsal" in job.reason


def resign(place: Installation, run: Path, said: RunPredicate, **members: Any) -> None:
    statement = make_statement(said)
    envelope, evidence = place.sign(statement, **members)
    (run / "run.dsse.json").write_bytes(envelope)
    (run / "evidence.json").write_bytes(canonical_json(evidence))


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace("print(42)", "print(43)"),
        lambda data: data.replace('"code"', '"raw"', 1),
        lambda data: "{}",
        lambda data: "[]",
        lambda data: '{"cells": [{}]}',
        lambda data: '{"cells": [{"cell_type": "code", "source": 1}]}',
    ],
)
def test_only_the_notebook_check_fails_when_a_genuine_run_executed_other_code(
    own: Installation, tmp_path: Path, change: Callable[[str], str]
) -> None:
    genuine = own.outputs()
    executed = change(genuine.files[0].data.decode()).encode()
    files = (OutputFile(path="notebook.ipynb", data=executed), *genuine.files[1:])
    own.outputs = lambda: RunOutputs(files, salt=genuine.salt)
    run = own.write_run(tmp_path / "run")
    assert failed(verify(own, run)) == ["notebook"]


def test_a_statement_signed_by_a_key_no_evidence_vouches_for_is_refused(
    own: Installation, tmp_path: Path
) -> None:
    run = own.write_run(tmp_path / "run")
    said = own.predicate(own.session(own.broker(state="again.db")))
    envelope, _ = own.sign(make_statement(said))
    (run / "run.dsse.json").write_bytes(envelope)
    assert "evidence" in failed(verify(own, run))


def test_key_release_evidence_cannot_stand_in_for_result_evidence(
    own: Installation, tmp_path: Path
) -> None:
    run = own.write_run(tmp_path / "run")
    said = own.predicate(own.session(own.broker(state="again.db")))
    resign(own, run, said, purpose="key-release")
    assert failed(verify(own, run))[0] == "evidence"
    resign(own, run, said)
    assert verify(own, run).verified


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("_type", "https://in-toto.io/Statement/v0.1"),
        ("predicateType", "https://slsa.dev/provenance/v1"),
        ("subject", []),
        ("subject", [{"name": "table.csv", "digest": {"hmacSha256": "0" * 64}}]),
        ("subject", [{"name": "table.csv", "digest": {"sha256": "0" * 64}}]),
        ("extra", 1),
    ],
)
def test_a_statement_of_another_type_or_about_other_subjects_is_refused(
    own: Installation, tmp_path: Path, member: str, value: Any
) -> None:
    run = own.write_run(tmp_path / "run")
    said = own.predicate(own.session(own.broker(state="again.db")))
    plain = json.loads(make_statement(said)) | {member: value}
    envelope, evidence = own.sign(canonical_json(plain))
    (run / "run.dsse.json").write_bytes(envelope)
    (run / "evidence.json").write_bytes(canonical_json(evidence))
    readable = member == "subject" and "sha256" not in str(value)
    assert failed(verify(own, run)) == (["outputs"] if readable else ["statement"])


def envelope_with(run: Path, change: Callable[[dict[str, Any]], None]) -> None:
    plain = json.loads((run / "run.dsse.json").read_bytes())
    change(plain)
    (run / "run.dsse.json").write_bytes(canonical_json(plain))


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (lambda plain: plain["signatures"].clear(), "statement"),
        (lambda plain: plain["signatures"].extend(plain["signatures"]), "statement"),
        (lambda plain: plain.update(payloadType="text/plain"), "statement"),
        (lambda plain: plain["signatures"][0].update(keyid=""), "statement"),
        (lambda plain: plain["signatures"][0].update(keyid="AB" * 32), "statement"),
        (lambda plain: plain["signatures"][0].update(keyid="00" * 32), "signature"),
        (lambda plain: plain["signatures"][0].update(sig=""), "signature"),
        (lambda plain: plain["signatures"][0].update(sig=to_base64(bytes(64))), "signature"),
    ],
)
def test_an_envelope_of_another_form_is_refused(
    place: Installation, run: Path, change: Callable[[dict[str, Any]], None], check: str
) -> None:
    envelope_with(run, change)
    assert check in failed(verify(place, run))


def test_only_the_signature_check_fails_for_a_signature_that_is_not_the_keys(
    place: Installation, run: Path
) -> None:
    envelope_with(run, lambda plain: plain["signatures"][0].update(sig=to_base64(bytes(64))))
    assert failed(verify(place, run)) == ["signature"]


def test_evidence_in_another_spelling_is_refused(place: Installation, run: Path) -> None:
    path = run / "evidence.json"
    evidence = read_record(path.read_bytes(), Evidence, what="evidence")
    path.write_bytes(json.dumps(msgspec.to_builtins(evidence), indent=1).encode())
    assert "evidence" in failed(verify(place, run))


# --- writing ------------------------------------------------------------------------------------


def guest_result(place: Installation, run: Path) -> GuestResult:
    evidence = read_record((run / "evidence.json").read_bytes(), Evidence, what="evidence")
    return GuestResult(
        job_digest=place.job_digest,
        attempt=1,
        exit=ExitStatus(succeeded=True, cells_run=2, cells_total=2),
        envelope=to_base64((run / "run.dsse.json").read_bytes()),
        evidence=evidence,
    )


def test_a_bundle_is_written_once(place: Installation, run: Path) -> None:
    before = hashlib.sha256((run / "run.dsse.json").read_bytes()).digest()
    with pytest.raises(ConflictError):
        write_bundle(
            run,
            result=guest_result(place, run),
            workspace_archive=place.archive,
            outputs=place.outputs(),
        )
    assert hashlib.sha256((run / "run.dsse.json").read_bytes()).digest() == before


@pytest.mark.parametrize("member", ["envelope", "evidence"])
def test_a_result_without_proof_makes_no_bundle(
    place: Installation, run: Path, tmp_path: Path, member: str
) -> None:
    with pytest.raises(BundleError, match="nothing to prove"):
        write_bundle(
            tmp_path / "new",
            result=replace(guest_result(place, run), **{member: None}),
            workspace_archive=place.archive,
            outputs=place.outputs(),
        )


@pytest.mark.parametrize("paths", [("../evil",), ("/evil",), ("a/../../evil",), ("a", "a/b")])
def test_outputs_cannot_be_written_outside_and_nothing_is_left_behind(
    place: Installation, run: Path, tmp_path: Path, paths: tuple[str, ...]
) -> None:
    before = sorted(item.name for item in tmp_path.iterdir())
    with pytest.raises(BundleError):
        write_bundle(
            tmp_path / "new",
            result=guest_result(place, run),
            workspace_archive=place.archive,
            outputs=RunOutputs(tuple(OutputFile(path=path, data=b"") for path in paths)),
        )
    assert sorted(item.name for item in tmp_path.iterdir()) == before


def test_another_workspace_makes_no_bundle(place: Installation, run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.tar"
    other.write_bytes(place.archive.read_bytes()[:-1])
    with pytest.raises(WorkspaceError):
        write_bundle(
            tmp_path / "new",
            result=guest_result(place, run),
            workspace_archive=other,
            outputs=RunOutputs(),
        )
    assert not (tmp_path / "new").exists()


def test_every_error_of_a_bundle_is_one_of_ours(place: Installation, run: Path) -> None:
    (run / "run.dsse.json").write_bytes(b'{"payload":"\\ud800"}')
    with pytest.raises(ManateeError):
        verify(place, run).require()
