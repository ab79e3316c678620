"""Somebody with the database's password, who knows how the check works, is found all the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from manatee.identity import Passkey
from manatee.ledger import SignedCheckpoint, parse_checkpoint
from manatee.records import Quota, Review
from manatee.sequencer import AuditLog, Finding, Sequencer, check_installation, open_audit_log
from manatee.testing import ControlPlane

PASSWORD = "eleven blue herons at dawn"
EARLIER = "2000-01-01T00:00:00Z"


@pytest.fixture
def played(tmp_path: Path, database_url: str) -> Iterator[tuple[ControlPlane, AuditLog]]:
    plane = ControlPlane(tmp_path, release="reviewer", database_url=database_url)
    log = open_audit_log(plane.folder)
    job = plane.submit()
    plane.approve(job)
    plane.reconciler().settle()
    review = Review(decision="reject", reason="too few")
    plane.store.decisions.review(
        plane.store.jobs.get(job.id), review, provider="hospital", reviewer="hospital"
    )
    plane.reconciler().settle()
    plane.submit(submission=2)
    plane.store.organisations.set_quota("alice", Quota(jobs=3))
    plane.store.passkeys.add("carol", Passkey("carols", b"public", 0), label="key")
    plane.store.credentials.invite("bob")
    plane.store.organisations.add("lab")
    drain(plane, log)
    yield plane, log
    plane.store.close()


def drain(plane: ControlPlane, log: AuditLog) -> None:
    while Sequencer(plane.store, log, owner="one").advance():
        pass


def changed(plane: ControlPlane, *statements: str) -> None:
    with plane.store.database.connection() as connection:
        for statement in statements:
            connection.execute(text(statement))


def found(plane: ControlPlane, log: AuditLog, *, allow_older: bool = False) -> list[Finding]:
    return list(check_installation(plane.store, log, clock=plane.clock, allow_older=allow_older))


FIRST_JOB = "(SELECT id FROM jobs ORDER BY number LIMIT 1)"
SECOND_JOB = "(SELECT id FROM jobs ORDER BY number DESC LIMIT 1)"
ATTACKS: dict[str, tuple[str, ...]] = {
    "an account that claims to be older than the trail": (
        "INSERT INTO accounts (name, organisation, created_at)"
        f" VALUES ('mallory', 'hospital', '{EARLIER}')",
        "accounts mallory",
    ),
    "an old person's new role, her account made older than the trail": (
        f"UPDATE accounts SET created_at = '{EARLIER}'",
        "INSERT INTO memberships (account, organisation, role)"
        " VALUES ('bob', 'hospital', 'output_reviewer')",
        "memberships bob/hospital/output_reviewer",
    ),
    "an organisation that claims to be older": (
        f"INSERT INTO organisations VALUES ('mafia', '{EARLIER}')",
        "organisations mafia",
    ),
    "an account moved to another organisation": (
        "UPDATE accounts SET organisation = 'hospital' WHERE name = 'alice'",
        "accounts alice",
    ),
    "an account kept out that nobody kept out": (
        "UPDATE accounts SET disabled = true WHERE name = 'carol'",
        "accounts carol",
    ),
    "a token given to somebody else": (
        "UPDATE tokens SET account = 'olga' WHERE account = 'alice'",
        "tokens of olga",
    ),
    "a token prolonged": (
        "UPDATE tokens SET expires_at = expires_at + 9 WHERE account = 'alice'",
        "tokens of alice",
    ),
    "a token made good for more": (
        "UPDATE tokens SET scopes = scopes || ' more' WHERE account = 'alice'",
        "tokens of alice",
    ),
    "a passkey slipped in": (
        "INSERT INTO passkeys SELECT 'other', 'olga', public_key, 0, '', 0 FROM passkeys",
        "passkeys of olga",
    ),
    "a passkey's key exchanged": (
        "UPDATE passkeys SET id = 'attackers'",
        "passkeys of carol",
    ),
    "a password slipped in": (
        "INSERT INTO passwords VALUES ('olga', 'hash', 'AAAA', -1)",
        "passwords of olga",
    ),
    "an invitation slipped in": (
        "INSERT INTO invitations VALUES ('olga', 'ff', 99999999999)",
        "invitations of olga",
    ),
    "an invitation prolonged": (
        "UPDATE invitations SET expires_at = 99999999999",
        "invitations of bob",
    ),
    "a stranger linked with an account": (
        "INSERT INTO identity_links VALUES ('https://idp', 'me', 'olga')",
        "identity_links of olga",
    ),
    "an approver removed": ("DELETE FROM approval_keys", "approval_keys of hospital"),
    "an approver's key that is none": (
        "UPDATE approval_keys SET public_key = '?'",
        "approval_keys of hospital",
    ),
    "a quota raised": (
        "UPDATE allowances SET max_jobs = 99 WHERE name = 'alice'",
        "allowances organisation/alice",
    ),
    "a limit where none was set": (
        "UPDATE allowances SET max_jobs = 1 WHERE name = 'study'",
        "allowances project/study",
    ),
    "a project prolonged": ("UPDATE projects SET ends_at = ends_at + 9", "projects study"),
    "a data set slipped into a project": (
        "INSERT INTO project_datasets VALUES ('study', 'salaries')",
        "project_datasets of study",
    ),
    "fewer approvals needed": (
        "UPDATE project_parties SET approvals_needed = 0",
        "project_parties study/hospital",
    ),
    "a party left out": (
        "DELETE FROM project_parties WHERE organisation = 'carol'",
        "project_parties study/carol",
    ),
    "a party slipped in": (
        "INSERT INTO project_parties VALUES ('study', 'olga', 0, NULL)",
        "project_parties study/olga",
    ),
    "a project proposed by somebody else": (
        "UPDATE projects SET proposed_by = 'carol'",
        "projects study",
    ),
    "a data set filed under another provider": (
        "UPDATE datasets SET provider = 'alice'",
        "datasets insurance",
    ),
    "a data set that claims to be older": (
        f"UPDATE datasets SET publication = publication || ' ', published_at = '{EARLIER}'",
        "datasets insurance",
    ),
    "a job filed under another researcher": (
        f"UPDATE jobs SET researcher = 'bob' WHERE id = {FIRST_JOB}",
        "jobs job-",
    ),
    "another file in place of the outputs": (
        f"UPDATE jobs SET outputs_digest = 'sha256:{'0' * 64}' WHERE id = {FIRST_JOB}",
        "job_events job-",
    ),
    "a job's data sets hidden from their provider": (
        f"DELETE FROM job_datasets WHERE job_id = {SECOND_JOB}",
        "job_datasets of job-",
    ),
    "a request for keys hidden": (
        f"UPDATE jobs SET keys = NULL WHERE id = {FIRST_JOB}",
        "jobs job-",
    ),
    "a job that nobody knows asked for keys": (
        f"UPDATE jobs SET key_requested = false WHERE id = {FIRST_JOB}",
        "jobs job-",
    ),
    "a history deleted whole": (
        f"DELETE FROM job_events WHERE job_id = {SECOND_JOB}",
        f"UPDATE jobs SET events = 0 WHERE id = {SECOND_JOB}",
        "job_events job-",
    ),
    "a step that no job takes": (
        f"UPDATE jobs SET state = 'running' WHERE id = {SECOND_JOB}",
        'UPDATE job_events SET event = replace(event, \'"state":"created"\','
        f' \'"state":"running"\') WHERE job_id = {SECOND_JOB}',
        "job_events job-",
    ),
    "an account deleted": (
        "DELETE FROM invitations WHERE account = 'bob'",
        "DELETE FROM tokens WHERE account = 'bob'",
        "DELETE FROM memberships WHERE account = 'bob'",
        "DELETE FROM accounts WHERE name = 'bob'",
        "accounts bob",
    ),
    "an organisation deleted": (
        "DELETE FROM organisations WHERE name = 'lab'",
        "organisations lab",
    ),
    "a job deleted": (
        f"DELETE FROM job_events WHERE job_id = {SECOND_JOB}",
        f"DELETE FROM job_datasets WHERE job_id = {SECOND_JOB}",
        f"DELETE FROM jobs WHERE id = {SECOND_JOB}",
        "jobs job-",
    ),
    "a state that the history does not have": (
        f"UPDATE jobs SET state = 'checking' WHERE id = {SECOND_JOB}",
        "jobs job-",
    ),
    "requests for keys that cannot be read": (
        f"UPDATE jobs SET keys = '' WHERE id = {FIRST_JOB}",
        "jobs job-",
    ),
    "an event that is none": (
        "UPDATE audit_events SET event = '' WHERE number = 3",
        "audit_events 3",
    ),
    "a state that there is not": (
        f"UPDATE jobs SET state = 'done' WHERE id = {SECOND_JOB}",
        "job_events job-",
    ),
    "a review by somebody else": ("UPDATE reviews SET reviewer = 'bob'", "reviews job-"),
    "an event hidden from its project's list": (
        "UPDATE audit_events SET project = NULL WHERE project IS NOT NULL",
        "audit_events ",
    ),
    "an event hidden from its data set's list": ("DELETE FROM audit_datasets", "audit_events "),
    "an event far beyond the end": (
        "INSERT INTO audit_events (number, event, actor)"
        " SELECT 2000000000, event, actor FROM audit_events WHERE number = 1",
        "audit_events 2000000000",
    ),
    "an event before the first": (
        "INSERT INTO audit_events (number, event, actor)"
        " SELECT -1, event, actor FROM audit_events WHERE number = 1",
        "audit_events -1",
    ),
}


@pytest.mark.parametrize("what", ATTACKS)
def test_who_knows_the_check_is_found_all_the_same(
    played: tuple[ControlPlane, AuditLog], what: str
) -> None:
    plane, log = played
    assert found(plane, log) == []
    *statements, where = ATTACKS[what]
    changed(plane, *statements)
    problems = found(plane, log)
    assert any(item.where.startswith(where) for item in problems), problems


def test_rows_of_before_the_trail_are_passed_over_only_on_request(
    played: tuple[ControlPlane, AuditLog],
) -> None:
    plane, log = played
    for name, made_at in (("old", EARLIER), ("new", "2099-01-01T00:00:00Z")):
        changed(
            plane,
            "INSERT INTO accounts (name, organisation, created_at)"
            f" VALUES ('{name}', 'hospital', '{made_at}')",
        )
    assert {item.where for item in found(plane, log)} == {"accounts new", "accounts old"}
    assert [item.where for item in found(plane, log, allow_older=True)] == ["accounts new"]


def test_signing_in_and_revoking_one_of_many_tokens_is_no_finding_and_putting_it_back_is(
    played: tuple[ControlPlane, AuditLog],
) -> None:
    plane, log = played
    credentials, accounts = plane.store.credentials, plane.store.accounts
    factor = credentials.redeem("bob", credentials.invite("bob"), PASSWORD, address="here")
    code = factor.recovery_codes[0]
    made = credentials.sign_in("bob", PASSWORD, code, address="here")
    accounts.issue_token("bob", expires_at=plane.clock() + timedelta(hours=1))
    assert found(plane, log) == []
    changed(plane, f"CREATE TABLE kept AS SELECT * FROM tokens WHERE id = '{made.entry.id}'")
    accounts.revoke_token("bob", made.entry.id, by="bob")
    assert found(plane, log) == []
    changed(plane, "INSERT INTO tokens SELECT * FROM kept")
    assert [item.where for item in found(plane, log)] == ["tokens of bob"]
    accounts.revoke_token("bob", made.entry.id, by="bob")
    changed(plane, "UPDATE passwords SET password_hash = 'of the attacker'")
    assert [item.where for item in found(plane, log)] == ["passwords of bob"]


def test_an_older_backup_put_back_with_its_log_is_found_by_a_kept_checkpoint(
    played: tuple[ControlPlane, AuditLog], tmp_path: Path
) -> None:
    plane, log = played
    early = parse_checkpoint((plane.folder / "audit-log" / "checkpoint").read_bytes())
    plane.submit(submission=3)
    drain(plane, log)
    late = parse_checkpoint((plane.folder / "audit-log" / "checkpoint").read_bytes())

    def problems(log: AuditLog, kept: SignedCheckpoint) -> list[str]:
        checked = check_installation(plane.store, log, clock=plane.clock, kept=kept)
        return [item.problem for item in checked]

    assert problems(log, early) == []
    assert problems(log, late) == []
    # the log begun anew, with the same key, over a trail that lacks its end
    (plane.folder / "audit-log").rename(tmp_path / "away")
    rows = f"number > {early.checkpoint.size}"
    changed(
        plane,
        f"DELETE FROM audit_datasets WHERE {rows}",
        f"DELETE FROM audit_events WHERE {rows}",
    )
    anew = open_audit_log(plane.folder)
    drain(plane, anew)
    assert problems(anew, late) == [
        f"the log holds {early.checkpoint.size} events, and held {late.checkpoint.size} before."
    ]
    # and made longer again by something else
    for name in ("another", "and-another"):
        plane.store.organisations.add(name)
        drain(plane, anew)
        assert any("tree" in problem for problem in problems(anew, late))


def test_an_account_that_is_let_in_again_behind_the_services_back_is_found(
    played: tuple[ControlPlane, AuditLog],
) -> None:
    plane, log = played
    plane.store.accounts.disable("alice", by="olga")
    assert found(plane, log) == []
    changed(plane, "UPDATE accounts SET disabled = false")
    assert [item.where for item in found(plane, log)] == ["accounts alice"]


def test_a_log_that_nobody_brings_up_to_date_is_a_finding_after_a_minute(
    played: tuple[ControlPlane, AuditLog],
) -> None:
    plane, log = played
    plane.submit(submission=3)
    assert found(plane, log) == []
    plane.clock.put_forward(61)
    assert [item.what for item in found(plane, log)] == ["log"]
    drain(plane, log)
    assert found(plane, log) == []


def test_an_answer_of_a_key_broker_that_was_turned_is_found(
    played: tuple[ControlPlane, AuditLog],
) -> None:
    plane, log = played
    with plane.store.database.connection() as connection:
        (kept,) = connection.execute(text(f"SELECT keys FROM jobs WHERE id = {FIRST_JOB}")).one()
        requests = json.loads(kept)
        requests["requests"][0]["answer"] = "denied"
        connection.execute(
            text(f"UPDATE jobs SET keys = :keys WHERE id = {FIRST_JOB}"),
            {"keys": json.dumps(requests, sort_keys=True, separators=(",", ":"))},
        )
    assert any("answered" in item.problem for item in found(plane, log))
