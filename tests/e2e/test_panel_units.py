"""The panel's own unit tests, which Node runs."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from ._lab import REPOSITORY

FOLDER = REPOSITORY / "jupyterlab"


def test_client_and_models_pass_their_unit_tests() -> None:
    npm = shutil.which("npm")
    if npm is None or not (FOLDER / "node_modules").is_dir():
        if os.environ.get("CI"):
            pytest.fail("no npm here, or `npm ci` was not run in jupyterlab/")
        pytest.skip("no npm here, or `npm ci` was not run in jupyterlab/")
    done = subprocess.run(
        [npm, "test"], cwd=FOLDER, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert "# fail 0" in done.stdout
    assert "# pass 0" not in done.stdout
