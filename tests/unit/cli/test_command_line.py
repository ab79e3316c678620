"""The command line: one JSON document for machines, exit codes from the table, no token shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import typer

from manatee.cli import _provider_commands
from manatee.cli._app import app
from manatee.cli._output import Format, fail, print_json, print_rows
from manatee.cli._people import (
    new_approver_key,
    new_researcher_identity,
    read_approver_key,
    read_identity,
)
from manatee.errors import (
    AuthenticationError,
    ConflictError,
    ManateeError,
    NotVerifiedError,
    SettingsError,
    all_errors,
    meaning,
)
from manatee.records import DatasetUse, JobManifest, SignedApproval, digest_bytes, digest_record

TOKEN = "mt_SECRET-token-0123456789"


def manatee(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "manatee.cli", *arguments],
        env={"PATH": os.defpath, "LANG": "C.UTF-8", **settings},
        capture_output=True,
        text=True,
        timeout=60,
    )


def commands() -> list[tuple[str, ...]]:
    """Return every command and group of the tree."""
    found: list[tuple[str, ...]] = [()]

    def walk(command: Any, path: tuple[str, ...]) -> None:
        for name, inner in getattr(command, "commands", {}).items():
            found.append((*path, name))
            walk(inner, (*path, name))

    walk(typer.main.get_command(app), ())
    return found


def test_the_tree_has_the_commands_people_are_told_of() -> None:
    assert {("demo",), ("verify",), ("submit",), ("approve",), ("job", "watch")} <= set(commands())


@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_every_command_explains_itself(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        app([*path, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr()
    assert "Usage:" in shown.out
    assert shown.err == ""


def test_the_program_starts_as_a_module_and_explains_itself() -> None:
    ran = manatee("--help")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "two-stage clean room" in ran.stdout


def test_settings_hide_the_token_in_both_forms(tmp_path: Path) -> None:
    given = {"MANATEE_TOKEN": TOKEN, "MANATEE_HOME": str(tmp_path)}
    table, machine = manatee("settings", **given), manatee("settings", "-o", "json", **given)
    for ran in (table, machine):
        assert ran.returncode == 0
        assert TOKEN not in ran.stdout + ran.stderr
    shown = json.loads(machine.stdout)
    assert shown["MANATEE_TOKEN"] == "(set)"
    assert shown["MANATEE_HOME"] == str(tmp_path)


def test_an_error_is_one_json_document_and_the_exit_code_of_the_table(tmp_path: Path) -> None:
    ran = manatee("verify", str(tmp_path / "none"), "-o", "json", MANATEE_TOKEN=TOKEN)
    found = json.loads(ran.stdout)
    assert found["error"]["code"] == "bad-bundle"
    assert ran.returncode == 2
    assert "manatee:" in ran.stderr
    assert TOKEN not in ran.stdout + ran.stderr


def test_a_missing_setting_is_told_without_a_traceback() -> None:
    ran = manatee("datasets")
    assert ran.returncode == meaning(SettingsError).exit_code
    assert ran.stdout == ""
    assert "MANATEE_URL is not set" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_an_unreachable_service_has_its_own_exit_code_and_keeps_the_token() -> None:
    ran = manatee("datasets", MANATEE_URL="http://127.0.0.1:1", MANATEE_TOKEN=TOKEN)
    assert ran.returncode == 12
    assert TOKEN not in ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("kind", all_errors()[:12], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("form", list(Format))
def test_fail_answers_by_the_table(
    kind: type[ManateeError], form: Format, capsys: pytest.CaptureFixture[str]
) -> None:
    error = ManateeError("it broke.", hint="Mend it.")
    error.__class__ = kind
    assert fail(error, form) == meaning(kind).exit_code
    shown = capsys.readouterr()
    assert shown.err == "manatee: it broke.\n         Mend it.\n"
    if form is Format.JSON:
        assert json.loads(shown.out) == {
            "error": {"code": kind.code, "message": "it broke.", "hint": "Mend it."}
        }
    else:
        assert shown.out == ""


def test_fail_shows_the_message_and_nothing_behind_it(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        try:
            raise ValueError(f"Authorization: Bearer {TOKEN}")
        except ValueError as cause:
            raise AuthenticationError("the token is not known.") from cause
    except AuthenticationError as error:
        fail(error, Format.JSON)
    shown = capsys.readouterr()
    assert TOKEN not in shown.out + shown.err


def test_json_output_is_one_document_whatever_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    use = DatasetUse(name="insurance", version=digest_bytes(b""))
    print_json([use, {"a": "line\nbreak \u2028"}])
    assert json.loads(capsys.readouterr().out)[0]["name"] == "insurance"


def test_rows_are_tab_separated_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(("a", "b"), [("1", "2")])
    assert capsys.readouterr().out == "a\tb\n1\t2\n"


def test_keys_are_made_once_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    identity, key = tmp_path / "identity.json", tmp_path / "key.json"
    made = new_researcher_identity(identity)
    assert made.recipient.startswith("age1")
    assert read_identity(identity) == made
    assert read_approver_key(key_path(key)).raw
    for path, make in ((identity, new_researcher_identity), (key, new_approver_key)):
        assert path.stat().st_mode & 0o077 == 0
        before = path.read_bytes()
        with pytest.raises(ConflictError):
            make(path)
        assert path.read_bytes() == before


def key_path(path: Path) -> Path:
    new_approver_key(path)
    return path


def test_a_missing_key_is_answered_with_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="manatee new-approver-key"):
        read_approver_key(tmp_path / "none")
    with pytest.raises(SettingsError, match="manatee new-identity"):
        read_identity(tmp_path / "none")


@dataclass
class _Job:
    manifest: JobManifest
    job_digest: str
    providers: tuple[str, ...] = ("clinic",)


@dataclass
class _Caller:
    name: str


@dataclass
class _Service:
    """Stands where the service's client stands; keeps what it was sent."""

    answer: _Job
    me: str = "clinic"
    sent: list[SignedApproval] = field(default_factory=list)

    def job(self, job_id: str) -> _Job:
        assert job_id == "job-1"
        return self.answer

    def whoami(self) -> _Caller:
        return _Caller(self.me)

    def approve(self, _: str, approval: SignedApproval) -> dict[str, str]:
        self.sent.append(approval)
        return {"state": "approved"}


ZERO = digest_bytes(b"")
MANIFEST = JobManifest(
    stage="secure",
    project="p",
    researcher="ada",
    purpose="x",
    runtime_digest=ZERO,
    workspace_digest=ZERO,
    entry_notebook="a.ipynb",
    datasets=(DatasetUse(name="insurance", version=ZERO),),
    output_policy_digest=ZERO,
    output_recipients=("age1a",),
    resource_class="tiny",
    backend_kind="sandbox",
)
DIGEST = digest_record(MANIFEST)


def run_approve(
    service: _Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *more: str
) -> None:
    monkeypatch.setattr(_provider_commands, "open_client", lambda: service)
    app(
        ["approve", "job-1", "--key", str(key_path(tmp_path / "key.json")), *more],
        standalone_mode=False,
    )


def test_approving_signs_the_digest_that_was_reviewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    service = _Service(_Job(MANIFEST, DIGEST))
    run_approve(service, monkeypatch, tmp_path, "--digest", DIGEST, "-o", "json")
    assert json.loads(capsys.readouterr().out) == {"state": "approved"}
    (approval,) = service.sent
    assert approval.statement.job_digest == DIGEST
    assert approval.public_key == read_approver_key(tmp_path / "key.json").public_key


@pytest.mark.parametrize(
    ("claimed", "reviewed"),
    [
        (DIGEST, digest_bytes(b"another job")),
        (digest_bytes(b"a manifest swapped by the operator"), DIGEST),
        (digest_bytes(b"x"), digest_bytes(b"x")),
    ],
    ids=["another-was-reviewed", "service-claims-another", "manifest-does-not-match"],
)
def test_approving_another_digest_signs_nothing(
    claimed: str, reviewed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = _Service(_Job(MANIFEST, claimed))
    with pytest.raises(ConflictError, match="not the one you reviewed"):
        run_approve(service, monkeypatch, tmp_path, "--digest", reviewed)
    assert service.sent == []


def test_approving_a_job_on_somebody_elses_data_signs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = _Service(_Job(MANIFEST, DIGEST), me="other")
    with pytest.raises(ManateeError, match="no data set of yours"):
        run_approve(service, monkeypatch, tmp_path)
    assert service.sent == []


def test_not_verified_has_an_exit_code_of_its_own() -> None:
    codes = [meaning(kind).exit_code for kind in all_errors() if kind is not NotVerifiedError]
    assert meaning(NotVerifiedError).exit_code not in codes
