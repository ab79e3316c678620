"""`manatee ledger`: what somebody who keeps, reads, watches or mirrors a log sees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from manatee.cli._app import app
from manatee.cli._app import run as command
from manatee.errors import (
    ConflictError,
    ForkError,
    LedgerError,
    MalformedError,
    NotFoundError,
    SettingsError,
    meaning,
)
from manatee.ledger import ED25519, create_log, signer_in


def run(*arguments: str | Path) -> tuple[int, str]:
    """Return exit code and standard output; an error of ours is raised."""
    done = CliRunner().invoke(app, ["ledger", *(str(argument) for argument in arguments)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout


@pytest.fixture
def log(tmp_path: Path) -> Path:
    folder = tmp_path / "log"
    (tmp_path / "trust.json").write_text(run("init", folder, "--origin", "example.org/log")[1])
    for name in "abc":
        (tmp_path / name).write_text(f"entry {name}\n")
    assert run("append", folder, *(tmp_path / name for name in "abc")) == (0, "0\n1\n2\n")
    return folder


def test_init_writes_the_key_beside_the_log_and_never_prints_it(tmp_path: Path) -> None:
    code, printed = run("init", tmp_path / "log", "--origin", "example.org/log")
    key = tmp_path / "log-key.json"
    assert code == 0
    assert key.stat().st_mode & 0o777 == 0o600
    private = json.loads(key.read_text())["private_key"]
    assert private not in printed
    assert json.loads(printed)["origin"] == "example.org/log"
    assert not list((tmp_path / "log").rglob("*key*"))


def test_a_log_is_never_begun_again_over_itself(log: Path) -> None:
    before = (log / "checkpoint").read_bytes()
    with pytest.raises(ConflictError):
        run("init", log, "--origin", "example.org/log")
    assert (log / "checkpoint").read_bytes() == before


def test_append_needs_the_log_s_key_and_files_that_are_there(log: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        run("append", log, tmp_path / "a", tmp_path / "nothing")
    assert json.loads(run("show", log, "-o", "json")[1])["size"] == 3  # all or nothing
    (tmp_path / "log-key.json").unlink()
    with pytest.raises(SettingsError, match="key"):
        run("append", log, tmp_path / "a")
    assert not (tmp_path / "log-key.json").exists()  # and no other one was made


def test_show_prints_the_checkpoint_for_people_and_machines(log: Path) -> None:
    _, table = run("show", log)
    assert "origin\texample.org/log\nsize\t3\n" in table
    found = json.loads(run("show", log, "-o", "json")[1])
    assert found["size"] == 3
    assert f"root\t{found['root']}\n" in table
    assert found["signed_by"] == ["example.org/log"]


def test_a_proof_verifies_for_its_entry_and_no_other(log: Path, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    proof.write_text(run("prove", log, "1")[1])
    trust = ("--trust", tmp_path / "trust.json")
    assert "entry 1 of 3" in run("verify", proof, tmp_path / "b", *trust)[1]
    assert json.loads(run("verify", proof, tmp_path / "b", *trust, "-o", "json")[1]) == {
        "index": 1,
        "tree_size": 3,
        "cosigners": [],
    }
    with pytest.raises(LedgerError):
        run("verify", proof, tmp_path / "a", *trust)
    proof.write_text("nonsense")
    with pytest.raises(MalformedError):
        run("verify", proof, tmp_path / "b", *trust)
    with pytest.raises((LedgerError, NotFoundError)):
        run("prove", log, "3")


def test_trust_that_asks_for_witnesses_is_not_met_without_them(log: Path, tmp_path: Path) -> None:
    trust = json.loads((tmp_path / "trust.json").read_text())
    witness = signer_in(tmp_path / "witness-key.json", "witness.example", 4).key
    (tmp_path / "strict.json").write_text(
        json.dumps({**trust, "witnesses": [str(witness)], "quorum": 1})
    )
    (tmp_path / "proof").write_text(run("prove", log, "1")[1])
    for arguments in (
        ("verify", tmp_path / "proof", tmp_path / "b"),
        ("monitor", log, "--state", tmp_path / "seen"),
        ("mirror", log, tmp_path / "mirror"),
    ):
        with pytest.raises(LedgerError, match="needed"):
            run(*arguments, "--trust", tmp_path / "strict.json")


def test_a_monitor_tells_growth_from_a_fork(log: Path, tmp_path: Path) -> None:
    watch = ("--state", tmp_path / "seen", "--trust", tmp_path / "trust.json")
    assert "3 entries, 3 new" in run("monitor", log, *watch)[1]
    run("append", log, tmp_path / "a")
    assert "4 entries, 1 new" in run("monitor", log, *watch)[1]
    rival = tmp_path / "rival"
    create_log(rival, signer_in(tmp_path / "log-key.json", "", ED25519))
    with pytest.raises(LedgerError, match="stale, or rolled back"):
        run("monitor", rival, *watch)
    (tmp_path / "rival-key.json").write_bytes((tmp_path / "log-key.json").read_bytes())
    for number in range(5):
        (tmp_path / "other").write_text(f"another history {number}")
        run("append", rival, tmp_path / "other")
    with pytest.raises(ForkError) as caught:
        run("monitor", rival, *watch)
    assert meaning(caught.value).exit_code == 14


def test_a_mirror_is_made_kept_up_and_read_like_the_log(log: Path, tmp_path: Path) -> None:
    copy = (log, tmp_path / "mirror", "--trust", tmp_path / "trust.json")
    assert "3 entries" in run("mirror", *copy)[1]
    run("append", log, tmp_path / "a")
    assert "4 entries" in run("mirror", *copy)[1]
    assert run("prove", tmp_path / "mirror", "3") == run("prove", log, "3")
    assert run("show", tmp_path / "mirror") == run("show", log)


def test_there_is_nothing_to_serve_or_show_where_no_log_is(tmp_path: Path) -> None:
    for name in ("serve", "show"):
        with pytest.raises(NotFoundError):
            run(name, tmp_path)


def test_a_witness_needs_keys_of_logs(tmp_path: Path) -> None:
    with pytest.raises(MalformedError):
        run("witness", tmp_path / "w", "--name", "witness.example", "--log", "no key")


def test_a_refusal_is_an_exit_code_and_one_sentence(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "proof").write_text(run("prove", log, "1")[1])
    given = ["verify", str(tmp_path / "proof"), str(tmp_path / "a")]
    trust = ["--trust", str(tmp_path / "trust.json")]
    monkeypatch.setattr("sys.argv", ["manatee", "ledger", *given, *trust])
    with pytest.raises(SystemExit) as caught:
        command()
    assert caught.value.code == 14
    assert capsys.readouterr().err.startswith("manatee: ")
