"""Which modules a runtime has."""

from __future__ import annotations

import sys
from pathlib import Path

from manatee.errors import RuntimeEnvironmentError

_ENDINGS = (".py", ".so", ".pyd")


def importable_modules(runtime: Path) -> frozenset[str]:
    """Return the top-level names that can be imported in a runtime, the standard library's too.

    Args:
        runtime: The virtual environment's folder; read, never run.

    Raises:
        RuntimeEnvironmentError: It has no folder of packages.
    """
    found = set(sys.stdlib_module_names)
    folders = sorted(runtime.glob("lib/python3*/site-packages"))
    if not folders:
        raise RuntimeEnvironmentError(
            f"no runtime at {runtime}: it has no packages.",
            hint="Make it with `uv sync --locked` in the folder of its pyproject.toml.",
        )
    for folder in folders:
        for entry in folder.iterdir():
            name = entry.name.partition(".")[0]
            module = entry.is_dir() or entry.name.endswith(_ENDINGS)
            if module and name.isidentifier() and not entry.name.endswith(".dist-info"):
                found.add(name)
    return frozenset(found)


def own_modules(folder: Path) -> frozenset[str]:
    """Return the modules that lie beside a notebook, and go with it."""
    return frozenset(
        entry.stem
        for entry in folder.iterdir()
        if entry.stem.isidentifier() and (entry.is_dir() or entry.suffix == ".py")
    )
