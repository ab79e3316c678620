"""The researcher's files: who may read them, and what is said when they are missing."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("jupyter_server", reason="JupyterLab is not installed")

import typer.testing
from manatee_lab._desk import LazyDesk, open_desk

from manatee.cli._app import app
from manatee.cli._lab import DeskFiles, prepare_stage_one
from manatee.cli._people import new_researcher_identity
from manatee.client import ManateeClient
from manatee.errors import InputError, SettingsError

DIGEST = "sha256:" + "0" * 64


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "desk"
    DeskFiles(
        folder=found,
        url="http://127.0.0.1:1",
        token="secret-token",
        identity=new_researcher_identity(tmp_path / "identity.json"),
        trust=None,
        runtime_digest=DIGEST,
        projects=("charges",),
        tee="simulated",
        runtime=tmp_path,
    ).write()
    return found


def test_files_with_secrets_are_for_their_owner_alone(folder: Path) -> None:
    assert folder.stat().st_mode & 0o077 == 0
    for name in ("connection.json", "identity.json"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600


def test_a_token_that_others_may_read_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "connection.json").chmod(0o640)
    with pytest.raises(SettingsError, match="others may read") as caught:
        open_desk(folder, tmp_path)
    assert "secret-token" not in str(caught.value)


def test_a_lab_without_a_desk_starts_and_says_what_to_do(tmp_path: Path) -> None:
    desk = LazyDesk(lambda: open_desk(tmp_path / "nowhere", tmp_path))
    with pytest.raises(SettingsError, match="connected to no clean room") as caught:
        desk.info()
    assert caught.value.hint == "Start it with `manatee lab`."


@pytest.mark.parametrize("path", ["../secret.ipynb", "/etc/passwd", "missing.ipynb", ""])
def test_only_notebooks_of_the_lab_s_folder_are_read(
    folder: Path, tmp_path: Path, path: str
) -> None:
    root = tmp_path / "work"
    root.mkdir()
    (tmp_path / "secret.ipynb").write_text("{}")
    with pytest.raises(InputError, match="no notebook"):
        open_desk(folder, root).preflight(path)


def test_a_link_out_of_the_lab_s_folder_is_not_followed(folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "work"
    root.mkdir()
    (tmp_path / "secret.ipynb").write_text("{}")
    (root / "link.ipynb").symlink_to(tmp_path / "secret.ipynb")
    with pytest.raises(InputError, match="no notebook"):
        open_desk(folder, root).preflight("link.ipynb")


def test_nothing_but_examples_lies_where_submissions_are_made(tmp_path: Path) -> None:
    class Empty(ManateeClient):
        def datasets(self) -> tuple[()]:
            return ()

    example = tmp_path / "insurance" / "notebook.ipynb"
    example.parent.mkdir()
    example.write_text("{}")
    work, desk = tmp_path / "work", tmp_path / "desk"
    with Empty("http://127.0.0.1:1", "token") as client:
        prepare_stage_one(work, desk, client, runtime=tmp_path, notebooks=[example])
    assert [path.name for path in work.iterdir()] == ["insurance"]
    assert (desk / "stage-one").stat().st_mode & 0o077 == 0


def run(*arguments: str, **environment: str) -> BaseException | None:
    done = typer.testing.CliRunner().invoke(app, list(arguments), env=dict(environment))
    return done.exception


def test_the_command_without_a_service_says_what_to_set() -> None:
    error = run("lab", "--no-browser", MANATEE_URL="", MANATEE_TOKEN="")
    assert isinstance(error, SettingsError)
    assert "MANATEE_URL is not set" in error.message
    assert "--demo" in error.hint


def test_the_command_without_an_identity_says_how_to_make_one() -> None:
    error = run("lab", MANATEE_URL="http://127.0.0.1:1", MANATEE_TOKEN="x")
    assert isinstance(error, SettingsError)
    assert "new-identity" in error.hint
