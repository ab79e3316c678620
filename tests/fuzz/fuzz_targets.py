"""Finds the targets in `targets/`, and what is fed to them.

A target is a module with `seeds()`, which yields bytes to start from, and `one(data)`, which may
raise `ManateeError` and nothing else, whatever the bytes are.
"""

import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from manatee.errors import ManateeError

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"


@dataclass(frozen=True)
class Target:
    """One parser under test."""

    name: str
    one: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]

    def run(self, data: bytes) -> bool:
        """Return whether the bytes were read; any error but ours comes out."""
        try:
            self.one(data)
        except ManateeError:
            return False
        return True

    def corpus(self) -> tuple[bytes, ...]:
        """Return the inputs kept in the repository, by name."""
        folder = CORPUS / self.name
        return tuple(path.read_bytes() for path in sorted(folder.glob("*")))


def target_names() -> tuple[str, ...]:
    """Return the names of all targets."""
    return tuple(sorted(path.stem for path in (HERE / "targets").glob("*.py")))


def load_target(name: str) -> Target:
    """Import a target by its name."""
    if str(HERE) not in sys.path:
        sys.path.insert(0, str(HERE))
    path = HERE / "targets" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"fuzz_target_{name}", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"no such target: {name}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Target(name, module.one, module.seeds)


def file_name(data: bytes) -> str:
    """Return the name under which an input is kept."""
    return hashlib.sha256(data).hexdigest()[:16]
