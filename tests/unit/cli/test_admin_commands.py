"""`manatee admin`: what an operator sees of the database, its schema and its backups."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from manatee.cli._app import app
from manatee.errors import SettingsError, StoreError
from manatee.store import open_store
from manatee.store._migrate import newest
from manatee.testing import SettableClock


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MANATEE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MANATEE_DATABASE_URL", raising=False)
    open_store(tmp_path / "home", clock=SettableClock()).close()
    return tmp_path / "home"


def run(*arguments: str | Path) -> str:
    """Return standard output; an error of ours is raised."""
    done = CliRunner().invoke(app, ["admin", *(str(argument) for argument in arguments)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_schema_goes_down_and_up_and_is_told(home: Path) -> None:
    assert run("schema") == f"database {newest()}, release {newest()}\n"
    assert run("migrate", "--to", "base") == f"schema {newest()} -> empty\n"
    assert run("schema") == f"database empty, release {newest()}\n"
    assert run("migrate") == f"schema empty -> {newest()}\n"
    assert run("migrate") == f"schema {newest()} -> {newest()}\n"
    with pytest.raises(StoreError, match="no way"):
        run("migrate", "--to", "7777")


def test_a_backup_is_written_once_and_restored_into_an_empty_home(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SettableClock()
    store = open_store(home, clock=clock)
    store.accounts.add("alice", ["researcher"])
    token = store.accounts.issue_token("alice", expires_at=clock() + timedelta(hours=1))
    store.close()
    assert run("backup", tmp_path / "kept.tar") == f"schema {newest()}, 0 blobs\n"
    with pytest.raises(StoreError, match="a database already"):
        run("restore", tmp_path / "kept.tar")
    monkeypatch.setenv("MANATEE_HOME", str(tmp_path / "other"))
    assert run("restore", tmp_path / "kept.tar") == f"schema {newest()}, 0 blobs\n"
    restored = open_store(tmp_path / "other", clock=clock)
    assert restored.accounts.authenticate(token).name == "alice"
    restored.close()


@pytest.mark.parametrize("command", [("schema",), ("migrate",), ("backup", "x.tar")])
def test_a_password_in_the_url_is_never_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MANATEE_HOME", str(tmp_path / "home"))
    for url in ("postgresql://m:hunter2@127.0.0.1:9/m", "mysql://m:hunter2@127.0.0.1:9/m"):
        monkeypatch.setenv("MANATEE_DATABASE_URL", url)
        with pytest.raises((StoreError, SettingsError)) as caught:
            run(*command)
        assert "hunter2" not in str(caught.value) + caught.value.hint
    assert list(tmp_path.glob("*.tar")) == []
