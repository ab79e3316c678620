"""`manatee policy`: what a provider sees while writing, checking, signing and editing a policy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from manatee._clock import parse_timestamp
from manatee.cli._app import app
from manatee.errors import (
    ConflictError,
    MalformedError,
    PolicyError,
    SettingsError,
    TooLargeError,
)
from manatee.policy import SignedPolicy, verify_policy
from manatee.records import digest_bytes, read_record, unbase64

RUNTIME, OUTPUTS = digest_bytes(b"runtime"), digest_bytes(b"outputs")
QUESTION: dict[str, Any] = {
    "researcher": "ada",
    "dataset": "patients",
    "dataset_version": digest_bytes(b"patients"),
    "label": "real",
    "at": "2026-03-01T12:00:00Z",
    "tier": "hardware",
    "project": "charges",
    "purpose": "means",
    "runtime_digest": RUNTIME,
    "output_policy_digest": OUTPUTS,
    "backend_kind": "sandbox",
    "evidence_kind": "sev-snp",
    "approvals": {"insurer": 1},
}


def run(*arguments: str | Path) -> tuple[int, str]:
    """Return exit code and standard output; an error of ours is raised."""
    done = CliRunner().invoke(app, ["policy", *(str(argument) for argument in arguments)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout


@pytest.fixture
def cedar(tmp_path: Path) -> Path:
    parameters = tmp_path / "parameters.json"
    parameters.write_text(
        json.dumps(
            {
                "project": "charges",
                "researchers": ["ada"],
                "runtimes": [RUNTIME],
                "output_policies": [OUTPUTS],
                "approvals": {"insurer": 1},
            }
        )
    )
    code, text = run("new", "named-researchers", parameters)
    assert code == 0
    path = tmp_path / "release.cedar"
    path.write_text(text)
    return path


def edited(cedar: Path, old: str, new: str) -> Path:
    text = cedar.read_text()
    assert old in text
    path = cedar.with_name(f"edited-{len(list(cedar.parent.iterdir()))}.cedar")
    path.write_text(text.replace(old, new))
    return path


def question(tmp_path: Path, **members: Any) -> Path:
    path = tmp_path / "request.json"
    path.write_text(json.dumps(QUESTION | members))
    return path


def test_every_template_is_listed_with_what_it_needs() -> None:
    assert "one-run-per-approval" in run("templates")[1]
    listed = json.loads(run("templates", "-o", "json")[1])
    assert "floors" in listed["hardware-tcb-floors"]["needs"]


def test_a_template_filled_in_passes_the_check(cedar: Path) -> None:
    code, said = run("check", cedar)
    assert code == 0
    assert "good. 1 policy; counts approvals by: insurer." in said
    assert json.loads(run("check", cedar, "-o", "json")[1]) == {"good": True, "problems": []}


def test_a_mistake_is_shown_with_its_line_a_caret_and_a_hint(cedar: Path) -> None:
    bad = edited(cedar, "context.project", "context.projct")
    code, said = run("check", bad)
    assert code == 2
    assert said == (
        f"{bad}:9:11: there is no attribute projct.\n"
        '    context.projct == "charges" &&\n'
        "            ^^^^^^\n"
        "  Did you mean project?\n"
    )
    (found,) = json.loads(run("check", bad, "-o", "json")[1])["problems"]
    assert (found["line"], found["column"]) == (9, 11)


def test_a_text_that_allows_nothing_is_said_to(tmp_path: Path) -> None:
    empty = tmp_path / "empty.cedar"
    empty.write_text("// later\n")
    code, said = run("check", empty)
    assert code == 0
    assert "It allows nothing." in said


def keys(tmp_path: Path) -> tuple[Path, str, bytes]:
    """Return the policy key's file, an approver's public key and the policy's public key."""
    public = {}
    for name in ("policy-key", "approver"):
        done = CliRunner().invoke(app, ["new-approver-key", str(tmp_path / f"{name}.json")])
        public[name] = done.stdout.strip()
    return tmp_path / "policy-key.json", public["approver"], unbase64(public["policy-key"])


def sign(cedar: Path, name: str, key: Path, *approvers: str, version: int = 1) -> Path:
    signed = cedar.with_name(name)
    options = [option for item in approvers for option in ("--approver", item)]
    run("sign", cedar, signed, "--key", key, "--provider", "insurer", "--version", str(version),
        *options)  # fmt: skip
    return signed


def test_a_signed_policy_is_the_one_a_broker_takes(cedar: Path, tmp_path: Path) -> None:
    key, approver, public = keys(tmp_path)
    signed = sign(cedar, "v1.json", key, f"insurer={approver}", version=3)
    record = read_record(signed.read_bytes(), SignedPolicy, what="policy")
    verified = verify_policy(
        record,
        provider="insurer",
        trusted_key=public,
        at=parse_timestamp(record.document.valid_from),
        last_version=3,
    )
    assert verified.document.cedar == cedar.read_text()
    assert run("check", signed)[0] == 0
    with pytest.raises(ConflictError):
        sign(cedar, "v1.json", key, f"insurer={approver}")


def test_a_policy_that_counts_an_organisation_without_keys_is_not_signed(
    cedar: Path, tmp_path: Path
) -> None:
    key, approver, _ = keys(tmp_path)
    with pytest.raises(PolicyError, match="approvals of insurer are not counted"):
        sign(cedar, "v1.json", key, f"clinic={approver}")
    with pytest.raises(MalformedError, match="ORGANISATION=KEY"):
        sign(cedar, "v1.json", key, approver.rstrip("="))
    with pytest.raises(MalformedError, match=r"\.json"):
        sign(cedar, "v1.cedar", key, f"insurer={approver}")
    assert not (tmp_path / "v1.json").exists()


def test_an_allowed_request_is_explained(cedar: Path, tmp_path: Path) -> None:
    code, said = run("explain", cedar, "--request", question(tmp_path))
    assert code == 0
    assert said.splitlines()[:3] == [
        "allowed",
        "✓ permit named-researchers applies (line 3)",
        '    ✓ 9:3 context.project == "charges"',
    ]


def test_a_denied_request_shows_the_condition_that_failed(cedar: Path, tmp_path: Path) -> None:
    code, said = run("explain", cedar, "--request", question(tmp_path, approvals={}))
    assert code == 7
    assert said.startswith("denied, check: approvals\n")
    assert '    ✗ 14:3 context.approvals["insurer"] >= 1' in said
    answer = json.loads(
        run("explain", cedar, "--request", question(tmp_path, approvals={}), "-o", "json")[1]
    )
    assert not answer["allowed"]
    assert [item["check"] for item in answer["policies"][0]["conditions"] if not item["holds"]] == [
        "approvals"
    ]


@pytest.mark.parametrize(
    ("members", "check"),
    [
        ({"debug": True}, "debug"),
        ({"migration": True}, "migration"),
        ({"tier": "simulated"}, "tier"),
        ({"tier": "hardware-vtpm"}, "label"),
    ],
)
def test_guards_come_before_the_policy(tmp_path: Path, members: dict[str, Any], check: str) -> None:
    everything = tmp_path / "everything.cedar"
    everything.write_text("permit (principal, action, resource);")
    code, said = run("explain", everything, "--request", question(tmp_path, **members))
    assert code == 7
    assert said.startswith(f"denied, check: {check}\n✗ before any policy: ")


def test_a_signed_policy_is_explained_with_its_dates(cedar: Path, tmp_path: Path) -> None:
    key, approver, _ = keys(tmp_path)
    signed = sign(cedar, "v1.json", key, f"insurer={approver}")
    code, said = run("explain", signed, "--request", question(tmp_path, at="2020-01-01T00:00:00Z"))
    assert code == 7
    assert said.startswith("denied, check: dates\n")


def test_a_condition_that_needs_another_one_is_left_open(tmp_path: Path) -> None:
    file = tmp_path / "member.cedar"
    file.write_text(
        "permit (principal, action, resource)\n"
        'when { principal has organisation && principal.organisation == "x" };\n'
    )
    code, said = run("explain", file, "--request", question(tmp_path))
    assert code == 7
    assert "    ✗ 2:8 principal has organisation" in said
    assert '    – 2:38 principal.organisation == "x"' in said


def test_diff_proves_that_a_stricter_policy_allows_nothing_more(cedar: Path) -> None:
    stricter = edited(cedar, '["ada"]', '["nobody"]')
    code, said = run("diff", stricter, edited(stricter, "tier_rank >= 4", "tier_rank >= 5"))
    assert (code, said) == (0, "Proved: NEW allows nothing that OLD does not.\n")
    assert json.loads(run("diff", cedar, cedar, "-o", "json")[1]) == {"verdict": "nothing-more"}


def test_diff_shows_a_request_that_is_newly_allowed(cedar: Path) -> None:
    code, said = run("diff", cedar, edited(cedar, "tier_rank >= 4", "tier_rank >= 3"))
    assert code == 1
    assert said.startswith("NEW allows a request that OLD does not:\n  ada asks for the key")
    assert "  assurance tier: hardware-vtpm\n" in said
    assert "      ✗ 11:3 context.tier_rank >= 4\n" in said


def test_diff_says_which_expression_it_cannot_compare(cedar: Path) -> None:
    odd = edited(cedar, "context.tier_rank >= 4", "context.vmpl * context.vmpl < 9")
    with pytest.raises(PolicyError, match="line 11, column 3: in NEW") as caught:
        run("diff", cedar, odd)
    assert caught.value.hint == "context.vmpl * context.vmpl"


def test_diff_without_an_end_is_never_proof(cedar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import z3

    monkeypatch.setattr(z3.Solver, "check", lambda *_: z3.unknown)
    with pytest.raises(PolicyError, match="no proof"):
        run("diff", cedar, cedar)


def test_signed_policies_are_compared_with_their_keys(cedar: Path, tmp_path: Path) -> None:
    key, approver, _ = keys(tmp_path)
    done = CliRunner().invoke(app, ["new-approver-key", str(tmp_path / "second.json")])
    second = done.stdout.strip()
    old = sign(cedar, "v1.json", key, f"insurer={approver}")
    new = sign(cedar, "v2.json", key, f"insurer={approver}", f"insurer={second}", version=2)
    code, said = run("diff", old, new)
    assert code == 1
    assert "valid approvals by insurer: OLD counts 0, NEW counts 1" in said


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("none.cedar", None, SettingsError),
        ("latin.cedar", b"// \xe4", MalformedError),
        ("large.cedar", b" " * (600 << 10), TooLargeError),
        ("bare.json", b"{}", MalformedError),
    ],
)
def test_a_file_that_is_no_policy_is_refused(
    tmp_path: Path, name: str, content: bytes | None, error: type[Exception]
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error):
        run("check", path)
