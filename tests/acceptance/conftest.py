"""One demo, played once by the real command, for all acceptance tests to look at."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def run_manatee(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a person does, without a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "manatee.cli", *arguments],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture(scope="session")
def manatee() -> Callable[..., subprocess.CompletedProcess[str]]:
    return run_manatee


@dataclass(frozen=True)
class Demo:
    """Answer and folders of a finished demo."""

    answer: dict[str, Any]
    progress: str
    folder: Path

    @property
    def bundle(self) -> Path:
        return self.folder / "bundle"

    @property
    def trust(self) -> Path:
        return self.folder / "trust.json"


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder = tmp_path_factory.mktemp("acceptance") / "demo"
    done = run_manatee("demo", "--dir", str(folder), "-o", "json")
    assert done.returncode == 0, done.stderr
    return Demo(json.loads(done.stdout), done.stderr, folder)
