"""Settings come from the environment, are strict, and name what is insecure."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from manatee.errors import SettingsError
from manatee.settings import PREFIX, Settings, load_settings

FLAGS = [item.name for item in fields(Settings) if item.name.startswith("insecure_")]


def test_defaults_are_safe() -> None:
    settings = load_settings({})
    assert settings.insecure() == ()
    assert settings.host == "127.0.0.1"
    assert settings.token == ""


def test_each_setting_has_a_variable_and_a_line_of_documentation() -> None:
    for item in fields(Settings):
        text = "1" if item.type != "Path" else "/x"
        load_settings({PREFIX + item.name.upper(): text})
        assert f"{item.name}:" in (Settings.__doc__ or "")


def test_values_get_the_type_of_their_default() -> None:
    settings = load_settings(
        {
            "MANATEE_PORT": "0",
            "MANATEE_LEASE_SECONDS": "2.5",
            "MANATEE_HOME": "/srv/manatee",
            "MANATEE_URL": "http://127.0.0.1:1",
            "PATH": "/bin",
        }
    )
    assert (settings.port, settings.lease_seconds) == (0, 2.5)
    assert settings.home == Path("/srv/manatee")
    assert settings.url == "http://127.0.0.1:1"


def test_paths_are_absolute_and_the_home_sign_is_expanded() -> None:
    settings = load_settings({"MANATEE_RUNTIME": "some/runtime"})
    assert settings.home == Path.home() / ".manatee"
    assert settings.runtime == Path.cwd() / "some/runtime"


@pytest.mark.parametrize("variable", ["MANATEE_PROT", "MANATEE_", "MANATEE_INSECURE"])
def test_an_unknown_variable_is_refused_not_ignored(variable: str) -> None:
    with pytest.raises(SettingsError, match=f"unknown setting {variable}\\."):
        load_settings({variable: "1"})


@pytest.mark.parametrize(
    ("variable", "text", "wanted"),
    [
        ("MANATEE_PORT", "eighty-SECRET", "a number"),
        ("MANATEE_PORT", "1.5", "a number"),
        ("MANATEE_PORT", "", "a number"),
        ("MANATEE_LEASE_SECONDS", "soon-SECRET", "a number"),
        ("MANATEE_INSECURE_ACCEPT_SIMULATED_EVIDENCE", "maybe-SECRET", "true or false"),
        ("MANATEE_INSECURE_ACCEPT_SIMULATED_EVIDENCE", "2", "true or false"),
    ],
)
def test_a_value_of_another_type_is_refused_without_quoting_it(
    variable: str, text: str, wanted: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({variable: text})
    assert str(caught.value) == f"{variable} must be {wanted}."


@pytest.mark.parametrize("name", FLAGS)
@pytest.mark.parametrize(
    ("text", "on"), [("1", True), ("true", True), ("YES", True), ("0", False), ("", False)]
)
def test_insecure_settings_are_listed_by_name_when_on(name: str, text: str, on: bool) -> None:
    settings = load_settings({PREFIX + name.upper(): text})
    assert settings.insecure() == ((name,) if on else ())


def test_insecure_lists_all_that_are_on() -> None:
    assert FLAGS
    settings = load_settings({PREFIX + name.upper(): "1" for name in FLAGS})
    assert sorted(settings.insecure()) == sorted(FLAGS)


def test_a_user_without_a_home_folder_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home(_path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", no_home)
    with pytest.raises(SettingsError, match="MANATEE_HOME begins with ~"):
        load_settings({})


def test_settings_do_not_change_once_read() -> None:
    with pytest.raises(FrozenInstanceError):
        load_settings({}).port = 1  # type: ignore[misc]
