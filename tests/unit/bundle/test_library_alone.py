"""An auditor verifies a bundle with the trusted core alone: nothing of a server is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from manatee.bundle import write_trust
from manatee.testing import Installation

PROGRAM = """
import sys
from importlib.abc import MetaPathFinder

SERVER = {blocked!r}

class Blocker(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in SERVER:
            raise ImportError(name + " is not installed here")
        return None

sys.meta_path.insert(0, Blocker())
from datetime import datetime
from pathlib import Path
from manatee.bundle import read_bundle, read_trust, verify_bundle

bundle, trust, at = sys.argv[1:]
found = verify_bundle(
    read_bundle(Path(bundle)), trust=read_trust(Path(trust)), at=datetime.fromisoformat(at)
)
assert not SERVER & {{name.partition(".")[0] for name in sys.modules}}
print(found.verified, *(item.name for item in found.checks if item.mark.value == "failed"))
"""
SERVER = {
    "alembic",
    "fastapi",
    "httpx",
    "numpy",
    "obstore",
    "pydantic",
    "sqlalchemy",
    "starlette",
    "structlog",
    "typer",
    "uvicorn",
}


def verify_alone(bundle: Path, trust: Path, place: Installation) -> str:
    arguments = [str(bundle), str(trust), place.clock().isoformat()]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(blocked=SERVER), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def place(tmp_path: Path) -> Installation:
    made = Installation(tmp_path)
    write_trust(tmp_path / "trust.json", made.anchors())
    return made


def test_a_bundle_verifies_without_web_framework_database_or_numpy(
    place: Installation, tmp_path: Path
) -> None:
    bundle = place.write_run(tmp_path / "bundle")
    assert verify_alone(bundle, tmp_path / "trust.json", place) == "True"


def test_a_changed_output_is_found_without_them_too(place: Installation, tmp_path: Path) -> None:
    bundle = place.write_run(tmp_path / "bundle")
    (bundle / "outputs" / "table.csv").write_bytes(b"claims,count\nall,43\n")
    assert verify_alone(bundle, tmp_path / "trust.json", place) == "False outputs"
