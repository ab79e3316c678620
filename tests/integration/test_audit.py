"""The audit trail: written with each decision, put into a log by one process, and checked."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from manatee._clock import timestamp
from manatee.api import create_app, serve_in_thread
from manatee.client import ManateeClient
from manatee.errors import AuthorizationError, LedgerError, NotFoundError
from manatee.ledger import verify_log_proof
from manatee.records import NewMember, Quota, Review, canonical_json
from manatee.sequencer import AuditLog, Finding, Sequencer, check_installation, open_audit_log
from manatee.store import AuditQuery
from manatee.testing import MEMORY_BROKER, ControlPlane
from manatee.testing._control_plane import RUNTIME

EVERYTHING = AuditQuery()


@pytest.fixture
def plane(tmp_path: Path, database_url: str) -> Iterator[ControlPlane]:
    made = ControlPlane(tmp_path, database_url=database_url)
    yield made
    made.store.close()


@pytest.fixture
def log(plane: ControlPlane) -> AuditLog:
    return open_audit_log(plane.folder)


def drain(plane: ControlPlane, log: AuditLog, owner: str = "one") -> None:
    sequencer = Sequencer(plane.store, log, owner=owner)
    while sequencer.advance():
        pass


def whole_job(plane: ControlPlane, submission: int = 1) -> str:
    job = plane.submit(submission=submission)
    plane.approve(job)
    plane.reconciler().settle()
    return job.id


def changed(plane: ControlPlane, *statements: str) -> None:
    """Do what somebody with the database's password may do behind the service's back."""
    with plane.store.database.connection() as connection:
        for statement in statements:
            connection.execute(text(statement))


# --- the trail -----------------------------------------------------------------------------------


def test_every_decision_is_an_event_with_its_actor(plane: ControlPlane) -> None:
    job = whole_job(plane)
    events = plane.store.audit.page(AuditQuery(job=job))
    assert [(event.action, event.actor, event.outcome) for event in events] == [
        ("job-submitted", "alice", ""),
        ("job-approved", "local-operator", ""),
        ("key-requested", "service", MEMORY_BROKER),
        ("job-ended", "service", "released"),
    ]
    every = plane.store.audit.page(EVERYTHING, limit=500)
    assert [event.number for event in every] == list(range(1, len(every) + 1))
    about = {event.number for event in plane.store.audit.page(AuditQuery(dataset="insurance"))}
    assert {event.number for event in events} < about
    assert {event.action for event in plane.store.audit.page(AuditQuery(person="bob"))} == {
        "account-added",
        "member-set",
        "token-issued",
    }


def test_what_is_refused_leaves_no_event(plane: ControlPlane) -> None:
    before = plane.store.audit.size()
    job = plane.submit()
    assert plane.store.audit.size() == before + 1
    with pytest.raises(Exception, match="submitted before"):
        plane.submit()
    plane.store.jobs.write(plane.store.jobs.get(job.id), plane.store.jobs.get(job.id).state)
    assert plane.store.audit.size() == before + 1


def test_over_http_the_actor_is_the_caller_and_each_sees_their_own(tmp_path: Path) -> None:
    plane = ControlPlane(tmp_path, release="reviewer")
    log = open_audit_log(plane.folder)
    app = create_app(plane.store, plane.settings, plane.clock, runtimes=[RUNTIME], audit_log=log)
    with serve_in_thread(app) as url, Sequencer(plane.store, log, owner="one", idle_seconds=0.05):
        alice, hospital, carol, olga = (
            ManateeClient(url, plane.tokens[name])
            for name in ("alice", "hospital", "carol", "olga")
        )
        until = timestamp(plane.clock() + timedelta(days=1))
        olga.add_organisation("lab")
        olga.set_member("lab", "bob", NewMember(role="auditor", expires_at=until))
        olga.set_organisation_quota("lab", Quota(jobs=3))
        olga.end_member("lab", "bob", "auditor")
        job = alice.submit(plane.manifest())
        hospital.approve(job.id, plane.approval(job.job_digest))
        plane.reconciler().settle()
        hospital.review(job.id, Review(decision="reject", reason="a canary in free text"))
        plane.reconciler().settle()
        hospital.stop_project("study", "another canary in free text")
        events = list(olga.audit())
        said = [(event.actor, event.action, event.outcome) for event in events[-10:]]
        assert said == [
            ("olga", "organisation-added", ""),
            ("olga", "member-set", f"auditor until {until}"),
            ("olga", "quota-set", ""),
            ("olga", "member-ended", "auditor"),
            ("alice", "job-submitted", ""),
            ("hospital", "job-approved", ""),
            ("service", "key-requested", MEMORY_BROKER),
            ("hospital", "outputs-reviewed", "reject"),
            ("service", "job-ended", "rejected"),
            ("hospital", "project-stopped", ""),
        ]
        assert b"canary" not in b"".join(canonical_json(event) for event in events)
        # carol audits her own organisation, a party of the study: not olga's nor the lab
        theirs = list(carol.audit())
        assert {"job-submitted", "project-stopped"} <= {event.action for event in theirs}
        assert not any(event.organisation == "lab" for event in theirs)
        hidden = next(event.number for event in events if event.organisation == "lab")
        with pytest.raises(NotFoundError):
            carol.audit_proof(hidden)
        for refused in (alice, hospital):
            with pytest.raises(AuthorizationError):
                list(refused.audit())
            with pytest.raises(AuthorizationError):
                refused.audit_growth(0)
        last = theirs[-1]
        while log.size() < last.number:
            time.sleep(0.05)
        held = verify_log_proof(carol.audit_proof(last.number), canonical_json(last), log.trust())
        assert held.index == last.number - 1
        for client in (alice, hospital, carol, olga):
            client.close()
    assert list(check_installation(plane.store, log, clock=plane.clock)) == []
    plane.store.close()


# --- the sequencer -------------------------------------------------------------------------------


def test_the_log_holds_the_trail_event_by_event(plane: ControlPlane, log: AuditLog) -> None:
    whole_job(plane)
    drain(plane, log)
    assert list(log.entries()) == plane.store.audit.entries(0, 10_000)
    assert log.size() == plane.store.audit.size()
    whole_job(plane, 2)
    drain(plane, log)
    assert list(log.entries()) == plane.store.audit.entries(0, 10_000)


class CrashError(Exception):
    """The process is gone at this point."""


@pytest.mark.parametrize("point", ["after lease", "after append"])
def test_a_crash_between_any_two_steps_loses_and_repeats_nothing(
    plane: ControlPlane, log: AuditLog, point: str
) -> None:
    def crash(reached: str) -> None:
        if reached == point:
            raise CrashError

    dying = Sequencer(plane.store, log, owner="dying", after_step=crash, lease_seconds=5)
    with pytest.raises(CrashError):
        dying.advance()
    heir = Sequencer(plane.store, open_audit_log(plane.folder), owner="heir")
    assert heir.advance() == 0, "the lease is still the dead one's"
    plane.clock.put_forward(6)
    while heir.advance():
        pass
    assert list(log.entries()) == plane.store.audit.entries(0, 10_000)


def test_of_many_sequencers_one_works_and_a_paused_one_that_wakes_does_no_harm(
    plane: ControlPlane, log: AuditLog
) -> None:
    woken: list[int] = []

    def pause(reached: str) -> None:
        if reached == "after lease" and not woken:
            woken.append(1)
            plane.clock.put_forward(60)  # it slept longer than its lease, and another took over
            drain(plane, open_audit_log(plane.folder), "two")

    slow = Sequencer(plane.store, log, owner="one", after_step=pause)
    slow.advance()
    assert woken
    whole_job(plane)
    drain(plane, log, "two")
    assert list(log.entries()) == plane.store.audit.entries(0, 10_000)


def test_processes_that_are_killed_leave_one_true_log(plane: ControlPlane, log: AuditLog) -> None:
    program = (
        "import sys, pathlib\n"
        "from manatee._clock import system_clock\n"
        "from manatee.sequencer import Sequencer, open_audit_log\n"
        "from manatee.store import open_store\n"
        "folder, url, owner = sys.argv[1:]\n"
        "store = open_store(pathlib.Path(folder) / 'store', clock=system_clock, database_url=url)\n"
        "log = open_audit_log(pathlib.Path(folder))\n"
        "print('ready', flush=True)\n"
        "Sequencer(store, log, owner=owner, lease_seconds=0.3, idle_seconds=0.01).run()\n"
    )
    for life in range(4):
        running = [
            subprocess.Popen(
                [
                    *(sys.executable, "-c", program, str(plane.folder)),
                    *(plane.settings.database_url, f"{life}-{number}"),
                ],
                stdout=subprocess.PIPE,
            )
            for number in range(2)
        ]
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
        for number in range(10):
            plane.submit(submission=100 * life + number + 1)
        for process in running:
            process.kill()
            process.communicate()
    plane.clock.put_forward(60)
    drain(plane, open_audit_log(plane.folder), "last")
    assert list(log.entries()) == plane.store.audit.entries(0, 10_000)
    assert list(check_installation(plane.store, log, clock=plane.clock)) == []


def test_a_trail_with_a_gap_or_shorter_than_its_log_stops_the_sequencer(
    plane: ControlPlane, log: AuditLog
) -> None:
    drain(plane, log)
    whole_job(plane)
    first = log.size() + 1
    changed(
        plane,
        f"DELETE FROM audit_datasets WHERE number = {first}",
        f"DELETE FROM audit_events WHERE number = {first}",
    )
    with pytest.raises(LedgerError, match="missing"):
        Sequencer(plane.store, log, owner="one").advance()
    changed(
        plane,
        f"DELETE FROM audit_datasets WHERE number >= {first - 1}",
        f"DELETE FROM audit_events WHERE number >= {first - 1}",
    )
    with pytest.raises(LedgerError, match="the audit log holds"):
        Sequencer(plane.store, log, owner="one").advance()


# --- the check -----------------------------------------------------------------------------------


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
    drain(plane, log)
    yield plane, log
    plane.store.close()


def found(plane: ControlPlane, log: AuditLog) -> list[Finding]:
    return list(check_installation(plane.store, log, clock=plane.clock))


def test_an_installation_that_was_left_alone_has_no_finding(
    played: tuple[ControlPlane, AuditLog],
) -> None:
    plane, log = played
    assert found(plane, log) == []
    plane.submit(submission=3)
    assert found(plane, log) == [], "what is not yet in the log is no finding"


ENDED = "(SELECT id FROM jobs ORDER BY number LIMIT 1)"
TAMPERING: dict[str, tuple[str, ...]] = {
    "an account slipped in": (
        "INSERT INTO accounts (name, organisation, created_at)"
        " VALUES ('mallory', 'hospital', '2099-01-01T00:00:00Z')",
        "accounts mallory",
    ),
    "an account disabled": (
        "UPDATE accounts SET disabled = true WHERE name = 'bob'",
        "accounts bob",
    ),
    "a membership slipped in": (
        "INSERT INTO memberships (account, organisation, role)"
        " VALUES ('bob', 'hospital', 'output_reviewer')",
        "memberships bob/hospital/output_reviewer",
    ),
    "a membership prolonged": (
        "UPDATE memberships SET expires_at = 99999999999 WHERE account = 'alice'",
        "memberships alice/alice/researcher",
    ),
    "a membership deleted": (
        "DELETE FROM memberships WHERE account = 'carol'",
        "memberships carol/carol/auditor",
    ),
    "an approver slipped in": (
        "INSERT INTO approval_keys VALUES"
        " ('hospital', 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=')",
        "approval_keys of hospital",
    ),
    "a project rewritten": (
        "UPDATE projects SET project = replace(project, 'to learn', 'to sell')",
        "projects study",
    ),
    "a stop undone or made up": (
        "UPDATE projects SET stopped_at = '2026-01-01T00:00:00Z', stopped_by = 'hospital'",
        "projects study",
    ),
    "an agreement undone": (
        "UPDATE project_parties SET agreed_at = NULL WHERE organisation = 'bob'",
        "project_parties study/bob",
    ),
    "another twin published": (
        "UPDATE datasets SET publication = replace(publication, 'columns', 'colunms')",
        "datasets insurance",
    ),
    "another job's manifest": (
        f"UPDATE jobs SET manifest = replace(manifest, 'to learn', 'to sell') WHERE id = {ENDED}",
        "jobs job-",
    ),
    "another end": (f"UPDATE jobs SET state = 'released' WHERE id = {ENDED}", "jobs job-"),
    "a history edited": (
        f"UPDATE job_events SET event = replace(event, 'too few', 'fine') WHERE job_id = {ENDED}",
        "job_events job-",
    ),
    "a history shortened": (
        f"DELETE FROM job_events WHERE seq = 3 AND job_id = {ENDED}",
        "job_events job-",
    ),
    "an approval edited": (
        "UPDATE approvals SET approval = replace(approval, 'dora', 'emil')",
        "approvals job-",
    ),
    "an approval deleted": ("DELETE FROM approvals", "approvals job-"),
    "a review turned": ("UPDATE reviews SET decision = 'approve'", "reviews job-"),
    "a review deleted": ("DELETE FROM reviews", "reviews job-"),
    "an event edited": (
        "UPDATE audit_events SET event = replace(event, 'rejected', 'released')",
        "event ",
    ),
    "an event deleted": (
        "DELETE FROM audit_events WHERE number = 5",
        "event 5",
    ),
}


@pytest.mark.parametrize("what", TAMPERING)
def test_what_is_done_behind_the_services_back_is_found_and_named(
    played: tuple[ControlPlane, AuditLog], what: str
) -> None:
    plane, log = played
    *statements, where = TAMPERING[what]
    changed(plane, *statements)
    problems = found(plane, log)
    assert any(item.where.startswith(where) for item in problems), problems


def test_a_token_slipped_in_is_found(played: tuple[ControlPlane, AuditLog]) -> None:
    plane, log = played
    changed(
        plane,
        "CREATE TEMPORARY TABLE stolen AS SELECT * FROM tokens WHERE account = 'alice'",
        "UPDATE stolen SET digest = 'ff', id = 'ff'",
        "INSERT INTO tokens SELECT * FROM stolen",
    )
    assert any(item.where == "tokens of alice" for item in found(plane, log))


def test_a_damaged_or_missing_log_is_found(played: tuple[ControlPlane, AuditLog]) -> None:
    plane, log = played
    tile = next((plane.folder / "audit-log" / "tile" / "entries").rglob("*.p/*"))
    tile.chmod(0o644)
    data = tile.read_bytes()
    tile.write_bytes(data.replace(b"alice", b"bobby"))
    assert [item.what for item in found(plane, log)] == ["log"]
    tile.write_bytes(data)
    assert found(plane, log) == []


def test_the_commands_list_prove_and_check(tmp_path: Path) -> None:
    plane = ControlPlane(tmp_path / "home")
    # the commands open MANATEE_HOME itself, where a service keeps its store
    home = plane.folder / "store"
    log = open_audit_log(home)
    job = whole_job(plane)
    drain(plane, log)
    app = create_app(plane.store, plane.settings, plane.clock, runtimes=[RUNTIME], audit_log=log)
    with serve_in_thread(app) as url:

        def run(*arguments: str, name: str = "olga") -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, "-m", "manatee.cli", *arguments],
                capture_output=True,
                text=True,
                timeout=60,
                env={
                    "MANATEE_HOME": str(home),
                    "MANATEE_URL": url,
                    "MANATEE_TOKEN": plane.tokens[name],
                    "HOME": str(tmp_path),
                },
            )

        pinned = run("admin", "audit-trust")
        assert pinned.returncode == 0, pinned.stderr
        (tmp_path / "trust.json").write_text(pinned.stdout)
        proved = ("--trust", str(tmp_path / "trust.json"), "-o", "json")
        done = run("audit", "--job", job, *proved, name="carol")
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        assert answer["proved"] is True
        assert answer["events"][0]["action"] == "job-submitted"
        # the auditor keeps a checkpoint, and comes back
        mine = tmp_path / "kept"
        keeping = (*proved, "--kept", str(mine))
        assert run("audit", "--job", job, *keeping, name="carol").returncode == 0
        first = mine.read_bytes()
        assert first == (home / "audit-log" / "checkpoint").read_bytes()
        plane.store.accounts.disable("bob")
        drain(plane, log)
        assert run("audit", "--job", job, *keeping, name="carol").returncode == 0
        assert mine.read_bytes() == (home / "audit-log" / "checkpoint").read_bytes() != first
        assert run("audit", "--job", job, "--kept", str(mine), name="carol").returncode != 0
        assert run("audit", *keeping, name="alice").returncode == 3
        agree = run("admin", "check")
        assert (agree.returncode, agree.stdout) == (0, "database and audit log agree.\n")
        kept = run("admin", "check", "--checkpoint", str(home / "audit-log" / "checkpoint"))
        assert kept.returncode == 0, kept.stdout
        assert run("admin", "check", "--checkpoint", str(tmp_path / "none")).returncode != 0
        # an event edited in the database is not the one that is in the log
        changed(
            plane,
            "UPDATE audit_events SET event = replace(event, 'alice', 'bobby')"
            f" WHERE job = '{job}' AND actor = 'alice'",
        )
        lied = run("audit", "--job", job, *proved, name="carol")
        assert lied.returncode != 0
        checked = run("admin", "check")
        assert checked.returncode == 10
        assert "is not what the log holds" in checked.stdout
        # all of the log was written anew, and signed by its key: it agrees with the edited database
        before = mine.read_bytes()
        for path in sorted((home / "audit-log").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        again = open_audit_log(home)
        drain(plane, again)
        assert run("audit", "--job", job, *proved, name="carol").returncode == 0
        forked = run("audit", "--job", job, *keeping, name="carol")
        assert forked.returncode == 14, forked.stderr
        assert "signed two trees" in forked.stderr
        plane.store.accounts.enable("bob")
        drain(plane, again)
        forked = run("audit", "--job", job, *keeping, name="carol")
        assert forked.returncode == 14, forked.stderr
        assert "does not follow" in forked.stderr
        assert mine.read_bytes() == before, "what was kept is the evidence"
        # and one that was cut short
        for path in sorted((home / "audit-log").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        open_audit_log(home)
        short = run("audit", "--person", "nobody", *keeping, name="carol")
        assert short.returncode == 14, short.stderr
        assert "the log holds 0 events" in short.stderr
        assert mine.read_bytes() == before
    plane.store.close()
