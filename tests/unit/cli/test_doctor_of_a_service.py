"""What the doctor says of a service, and what the command makes of it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from manatee._clock import system_clock
from manatee.cli import _doctor
from manatee.cli import _doctor_service as doctor
from manatee.cli._app import app
from manatee.cli._findings import Finding
from manatee.settings import Settings
from manatee.store import migrate_database, open_store


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return replace(Settings(), home=tmp_path / "home")


def test_a_home_that_is_not_there_yet_is_no_fault_and_stays_away(settings: Settings) -> None:
    found = [
        *doctor.database(settings, system_clock),
        doctor.disk(replace(settings, home=settings.home / "below")),
        doctor.secrets(settings),
    ]
    assert [item.good for item in found] == [True, True, True]
    assert not settings.home.exists()


def test_a_database_of_another_release_is_told_with_the_way_out(
    settings: Settings, tmp_path: Path, database_url: str
) -> None:
    settings = replace(settings, database_url=database_url)
    open_store(settings.home, clock=system_clock, database_url=database_url).close()
    (now,) = doctor.database(settings, system_clock)
    assert now.good
    migrate_database(settings.home, database_url, "0001")
    (older,) = doctor.database(settings, system_clock)
    assert not older.good
    assert "0001" in older.detail
    assert "manatee admin migrate" in older.hint


def test_a_server_that_is_away_is_told_without_its_password(settings: Settings) -> None:
    away = "postgresql://manatee:hush@127.0.0.1:9/manatee?connect_timeout=1"
    (found,) = doctor.database(replace(settings, database_url=away), system_clock)
    assert not found.good
    assert "hush" not in found.detail + found.hint


def test_a_server_whose_clock_differs_is_told(settings: Settings, database_url: str) -> None:
    settings = replace(settings, database_url=database_url)
    open_store(settings.home, clock=system_clock, database_url=database_url).close()
    found = doctor.database(settings, lambda: system_clock() - timedelta(seconds=60))
    if database_url:
        assert [item.good for item in found] == [True, False]
        assert "+60 s" in found[1].detail
    else:  # SQLite has no clock of its own
        assert [item.good for item in found] == [True]


def test_a_full_disk_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LEAST_FREE_BYTES", 1 << 62)
    assert not doctor.disk(settings).good


def test_secrets_that_others_can_read_are_named(settings: Settings) -> None:
    settings.home.mkdir(mode=0o755)
    key = settings.home / "run-log-key.json"
    key.write_text("secret")
    key.chmod(0o644)
    found = doctor.secrets(settings)
    assert not found.good
    assert "run-log-key.json" in found.detail
    key.chmod(0o600)
    assert doctor.secrets(settings).good
    key.chmod(0o644)
    settings.home.chmod(0o700)
    assert doctor.secrets(settings).good


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"insecure_accept_simulated_evidence": True}, "accept_simulated"),
        ({"insecure_release_real_data_below_hardware": True}, "below_hardware"),
        ({"host": "0.0.0.0"}, "plain HTTP"),
    ],
)
def test_dangerous_settings_are_named_and_do_not_fail(
    settings: Settings, changes: dict[str, Any], word: str
) -> None:
    assert [item.good for item in doctor.dangerous(settings)] == [True]
    (found,) = doctor.dangerous(replace(settings, **changes))
    assert (found.good, found.needed) == (False, False)
    assert word in found.detail


def test_backups_need_their_program_only_with_postgresql(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor.shutil, "which", lambda _program: None)
    assert not any(item.needed for item in doctor.tools(settings))
    found = doctor.tools(replace(settings, database_url="postgresql://x@y/z"))
    assert [item.name for item in found if item.needed] == ["pg_dump"]
    assert all(item.hint.startswith("Get it: ") for item in found)


@pytest.mark.parametrize(("needed", "code"), [(True, True), (False, False)])
def test_only_what_is_needed_makes_the_command_fail(
    needed: bool, code: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    finding = Finding("thing", False, "is not here.", "Get it.", needed=needed)
    monkeypatch.setattr(_doctor, "examine", lambda _settings: (finding,))
    done = CliRunner().invoke(app, ["doctor", "-o", "json"])
    assert bool(done.exit_code) is code
    (told,) = json.loads(done.stdout)
    assert told["needed"] is needed
    assert told["hint"] == "Get it."
