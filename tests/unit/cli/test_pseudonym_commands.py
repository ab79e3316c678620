"""Two providers agree on a pseudonym key by commands, and their twins join; others' do not."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import typer.testing

from manatee.cli._app import app
from manatee.errors import (
    ConflictError,
    MalformedError,
    ManateeError,
    SealingError,
    SettingsError,
)
from manatee.provisioning.pets import read_shared_key

NAMES = ("clinic", "insurer")


def manatee(*arguments: object) -> str:
    done = typer.testing.CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(done.exception, ManateeError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def begin(folder: Path, project: str = "stroke-study") -> None:
    for name in NAMES:
        manatee("pseudonym-key", "begin", folder / name, "--project", project, "--provider", name)


def other(name: str) -> str:
    return NAMES[1 - NAMES.index(name)]


def share(folder: Path) -> None:
    for name in NAMES:
        theirs = folder / other(name) / f"{other(name)}.commitment"
        manatee("pseudonym-key", "share", folder / name, theirs)


def accept(folder: Path, name: str, *more: object) -> str:
    sent = folder / other(name) / f"{other(name)}-to-{name}.share"
    return manatee("pseudonym-key", "accept", folder / name, sent, *more)


def code(folder: Path, name: str) -> str:
    told = json.loads(accept(folder, name, "-o", "json"))["code"]
    assert isinstance(told, str)
    return told


def show(key: Path, *more: object) -> str:
    return manatee("pseudonym-key", "show", key, *more)


def agree(folder: Path, project: str = "stroke-study") -> dict[str, Path]:
    folder.mkdir(exist_ok=True)
    begin(folder, project)
    share(folder)
    codes = {name: code(folder, name) for name in NAMES}
    keys = {name: folder / f"{name}.key" for name in NAMES}
    for name in NAMES:
        heard = f"{other(name)}={codes[other(name)]}"
        accept(folder, name, "--heard", heard, "--key", keys[name])
    return keys


def test_two_providers_hold_the_same_key_and_see_the_same_fingerprint(tmp_path: Path) -> None:
    keys = agree(tmp_path)
    shown = [
        json.loads(manatee("pseudonym-key", "show", key, "-o", "json")) for key in keys.values()
    ]
    assert shown[0]["fingerprint"] == shown[1]["fingerprint"]
    assert {told["project"] for told in shown} == {"stroke-study"}
    assert {key.stat().st_mode & 0o777 for key in keys.values()} == {0o600}


def test_no_command_prints_the_key_or_a_share(tmp_path: Path) -> None:
    begin(tmp_path)
    private = [json.loads((tmp_path / name / "private.json").read_text()) for name in NAMES]
    share(tmp_path)
    codes = {name: code(tmp_path, name) for name in NAMES}
    said = accept(tmp_path, "clinic")
    key = tmp_path / "key"
    said += accept(tmp_path, "clinic", "--heard", f"insurer={codes['insurer']}", "--key", key)
    said += manatee("pseudonym-key", "show", key) + manatee(
        "pseudonym-key", "show", key, "-o", "json"
    )
    assert codes["clinic"] in said
    assert read_shared_key(key).secret.hex() not in said
    for kept in private:
        assert not any(kept[part] in said for part in ("share", "nonce", "identity"))


def test_every_step_says_what_comes_next(tmp_path: Path) -> None:
    said = manatee("pseudonym-key", "begin", tmp_path / "a", "--project", "p", "--provider", "a")
    assert "a.commitment" in said
    assert "manatee pseudonym-key share" in said
    begin(tmp_path)
    theirs = tmp_path / "insurer" / "insurer.commitment"
    said = manatee("pseudonym-key", "share", tmp_path / "clinic", theirs)
    assert "Send to insurer" in said
    assert "manatee pseudonym-key accept" in said
    mine = tmp_path / "clinic" / "clinic.commitment"
    manatee("pseudonym-key", "share", tmp_path / "insurer", mine)
    said = accept(tmp_path, "clinic")
    assert "Read aloud" in said
    assert "--heard PROVIDER=CODE" in said


def test_files_of_others_may_lie_in_the_own_folder(tmp_path: Path) -> None:
    begin(tmp_path)
    theirs = tmp_path / "clinic" / "insurer.commitment"
    (tmp_path / "insurer" / "insurer.commitment").rename(theirs)
    said = json.loads(manatee("pseudonym-key", "share", tmp_path / "clinic", theirs, "-o", "json"))
    assert said["shares"] == {"insurer": str(tmp_path / "clinic" / "clinic-to-insurer.share")}


def test_a_folder_of_no_ceremony_is_refused(tmp_path: Path) -> None:
    begin(tmp_path)
    theirs = tmp_path / "insurer" / "insurer.commitment"
    with pytest.raises(SettingsError, match=r"private\.json cannot be read"):
        manatee("pseudonym-key", "share", tmp_path / "none", theirs)


def test_begun_twice_is_refused_and_the_first_share_stays(tmp_path: Path) -> None:
    begin(tmp_path)
    before = (tmp_path / "clinic" / "private.json").read_bytes()
    with pytest.raises(ConflictError, match="exists"):
        begin(tmp_path)
    assert (tmp_path / "clinic" / "private.json").read_bytes() == before


def test_a_wrong_code_writes_no_key_and_says_to_begin_anew(tmp_path: Path) -> None:
    begin(tmp_path)
    share(tmp_path)
    with pytest.raises(ConflictError, match="not the one expected") as refused:
        accept(tmp_path, "clinic", "--heard", "insurer=0000 0000", "--key", tmp_path / "key")
    assert "begin a new ceremony" in refused.value.hint
    assert not (tmp_path / "key").exists()


def test_the_own_code_is_not_taken_for_the_other_one(tmp_path: Path) -> None:
    begin(tmp_path)
    share(tmp_path)
    own = code(tmp_path, "clinic")
    with pytest.raises(MalformedError, match="own code"):
        accept(tmp_path, "clinic", "--heard", f"insurer={own}", "--key", tmp_path / "key")


@pytest.mark.parametrize(
    "more", [("--key", "k"), ("--heard", "insurer=1"), ("--heard", "1", "--key", "k")]
)
def test_half_an_answer_is_refused(tmp_path: Path, more: tuple[str, ...]) -> None:
    begin(tmp_path)
    share(tmp_path)
    with pytest.raises(SettingsError, match=r"belong together|PROVIDER=CODE"):
        accept(tmp_path, "clinic", *more)


def test_a_share_for_someone_else_and_a_file_that_is_none_are_refused(tmp_path: Path) -> None:
    begin(tmp_path)
    share(tmp_path)
    mine = tmp_path / "clinic" / "clinic-to-insurer.share"
    with pytest.raises(SealingError, match="did not open"):
        manatee("pseudonym-key", "accept", tmp_path / "clinic", mine)
    with pytest.raises(SettingsError, match="cannot be read"):
        manatee("pseudonym-key", "accept", tmp_path / "clinic", tmp_path / "none")


# The story: one twin each, made apart.

CONTRACT = """
format: manatee-data-contract/2
name: {name}
label: synthetic
privacy_unit: row
tables:
  - name: persons
    rows: public
    key: [person]
    columns:
      - {{name: person, type: identifier, holds: integer}}
      - {{name: {value}, type: category, categories: [low, high]}}
"""
SPEC = """
format: manatee-provisioning-spec/1
contract: {name}
purpose: {purpose}
tables:
  persons:
    columns: {{person: {{pseudonym: {{key: person}}}}, {value}: {{keep: {{}}}}}}
"""
VALUES = {"clinic": "pressure", "insurer": "charges"}
PEOPLE = {"clinic": range(1, 61), "insurer": range(41, 101)}  # twenty are in both


class Site:
    """One provider with its own machine."""

    def __init__(self, folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.name, self._patch = folder / f"at-{name}", name, monkeypatch
        self.folder.mkdir()
        (self.folder / "c.yaml").write_text(CONTRACT.format(name=name, value=VALUES[name]))
        rows = [f"{number},{'low' if number % 2 else 'high'}" for number in PEOPLE[name]]
        lines = [f"person,{VALUES[name]}", *rows]
        (self.folder / "persons.csv").write_text("\n".join(lines) + "\n")
        self.made = 0

    def twin(self, key: Path | None, purpose: str = "stroke-study") -> set[int]:
        self._patch.setenv("MANATEE_HOME", str(self.folder / "home"))
        if not self.made:
            manatee("budget", "limit", self.name, "--epsilon", 1, "--delta", 1e-9)
        self.made += 1
        spec, out = self.folder / f"s{self.made}.yaml", self.folder / f"twin{self.made}"
        spec.write_text(SPEC.format(name=self.name, value=VALUES[self.name], purpose=purpose))
        table = f"persons={self.folder / 'persons.csv'}"
        more = () if key is None else ("--pseudonym-key", key)
        manatee("provision", self.folder / "c.yaml", spec, "--table", table, "--out", out, *more)
        return set(pq.read_table(out / "twin" / "persons.parquet")["person"].to_pylist())

    def statement(self) -> str:
        return (self.folder / f"twin{self.made}" / "statement.json").read_text()


@pytest.fixture
def sites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Site]:
    return {name: Site(tmp_path, name, monkeypatch) for name in NAMES}


def test_twins_of_two_providers_join_on_pseudonyms_and_name_the_key(
    tmp_path: Path, sites: dict[str, Site]
) -> None:
    keys = agree(tmp_path / "ceremony")
    found = {name: sites[name].twin(keys[name]) for name in NAMES}
    assert {len(people) for people in found.values()} == {60}
    assert len(found["clinic"] & found["insurer"]) == 20
    assert not found["clinic"] & set(PEOPLE["clinic"])
    fingerprint = read_shared_key(keys["clinic"]).fingerprint
    assert all(fingerprint in site.statement() for site in sites.values())
    assert read_shared_key(keys["clinic"]).secret.hex() not in sites["clinic"].statement()


def test_twins_of_two_projects_do_not_join_even_at_one_provider(
    tmp_path: Path, sites: dict[str, Site]
) -> None:
    stroke = agree(tmp_path / "one")
    heart = agree(tmp_path / "two", "heart-study")
    at_clinic = sites["clinic"].twin(stroke["clinic"])
    assert not at_clinic & sites["insurer"].twin(heart["insurer"], "heart-study")
    assert not at_clinic & sites["clinic"].twin(heart["clinic"], "heart-study")


def test_twins_made_without_the_shared_key_do_not_join(sites: dict[str, Site]) -> None:
    assert not sites["clinic"].twin(None) & sites["insurer"].twin(None)


def test_a_key_of_another_project_is_refused_before_anything_is_read(
    tmp_path: Path, sites: dict[str, Site]
) -> None:
    keys = agree(tmp_path / "ceremony")
    with pytest.raises(SettingsError, match="of project 'stroke-study'") as refused:
        sites["clinic"].twin(keys["clinic"], "heart-study")
    assert "purpose: stroke-study" in refused.value.hint
    assert not (sites["clinic"].folder / "twin1").exists()
