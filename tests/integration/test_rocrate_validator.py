"""The exported crate, before the RO-Crate community's own validator (offline)."""

from __future__ import annotations

import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from manatee.bundle import export_crate, read_bundle, verify_bundle
from manatee.testing import Installation

HERE = Path(__file__).parent
CONTEXTS = HERE.parent / "vectors" / "ro-crate"


def validate(profile: str, folder: Path) -> subprocess.CompletedProcess[str]:
    uv = shutil.which("uv")
    assert uv, "uv is not on the PATH; start the tests by `./run test`."
    command = [uv, "run", "--quiet", "--locked", "--project", str(HERE / "rocrate"), "python"]
    command += [str(HERE / "rocrate" / "validate.py"), str(CONTEXTS), profile, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=250)


@pytest.fixture(scope="module")
def crate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crate")
    place = Installation(folder)
    contents = read_bundle(place.write_run(folder / "run"))
    verification = verify_bundle(contents, trust=place.anchors(), at=place.clock())
    export_crate(folder / "crate.zip", contents, verification)
    with zipfile.ZipFile(folder / "crate.zip") as archive:
        archive.extractall(folder / "bag")
    (bag,) = (folder / "bag").iterdir()
    return bag / "data"


@pytest.mark.xdist_group("rocrate")
def test_the_crate_is_an_ro_crate(crate: Path) -> None:
    done = validate("ro-crate-1.2", crate)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.xdist_group("rocrate")
def test_the_notebook_in_it_is_a_workflow_ro_crate(crate: Path) -> None:
    done = validate("workflow-ro-crate-1.0", crate / "workflow")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.xdist_group("rocrate")
def test_the_validator_finds_what_is_wrong(crate: Path, tmp_path: Path) -> None:
    shutil.copytree(crate, tmp_path / "broken")
    path = tmp_path / "broken" / "ro-crate-metadata.json"
    document = json.loads(path.read_bytes())
    root = next(item for item in document["@graph"] if item["@id"] == "./")
    del root["datePublished"]
    path.write_text(json.dumps(document))
    done = validate("ro-crate-1.2", tmp_path / "broken")
    assert done.returncode == 1
    assert "datePublished" in done.stdout
