"""Builds JupyterLab's panel where Node is; without Node the server part is installed alone."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

REQUIRED = "MANATEE_LAB_PANEL_REQUIRED"
"""Set for releases: a missing panel is then an error."""

STEPS = (
    ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"),
    ("npm", "run", "build"),
)


class PanelHook(BuildHookInterface):
    """Runs npm before the wheel is put together."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the panel, always from the present sources."""
        root = Path(self.root)
        built = root / "manatee_lab" / "labextension"
        shutil.rmtree(built, ignore_errors=True)
        problem = self._build(root)
        if not problem:
            return
        if os.environ.get(REQUIRED):
            raise RuntimeError(f"JupyterLab's panel cannot be built: {problem}")
        self.app.display_warning(f"JupyterLab's panel is left out: {problem}")
        # an empty folder, so that the wheel can be put together without it
        built.mkdir(parents=True, exist_ok=True)

    def _build(self, root: Path) -> str:
        npm = shutil.which("npm")
        if npm is None:
            return "there is no npm here; install Node 20."
        for step in STEPS:
            done = subprocess.run(
                [npm, *step[1:]], cwd=root, capture_output=True, text=True, check=False
            )
            if done.returncode != 0:
                last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-3:]
                return f"`{' '.join(step)}` failed: {' '.join(last)}"
        return ""
