"""Where the parts of a runtime folder (a virtual environment) lie on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from manatee.errors import RuntimeEnvironmentError

_HINT = "Make it with `uv sync --locked` in the folder of its pyproject.toml and uv.lock."


@dataclass(frozen=True)
class RuntimeLayout:
    """The parts of a runtime. All paths are absolute and exist.

    Attributes:
        folder: The virtual environment.
        lock: The `uv.lock` beside it.
        site_packages: The environment's packages.
        base: Prefix of the interpreter it was made from.
        executable: That interpreter, links resolved.
        stdlib: Its standard library.
        implementation: Such as `CPython`.
        version: Such as `3.11.7`.
    """

    folder: Path
    lock: Path
    site_packages: Path
    base: Path
    executable: Path
    stdlib: Path
    implementation: str
    version: str


def _configuration(folder: Path) -> dict[str, str]:
    try:
        text = (folder / "pyvenv.cfg").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RuntimeEnvironmentError(
            f"no runtime at {folder}: it has no readable pyvenv.cfg.", hint=_HINT
        ) from error
    pairs = (line.partition("=") for line in text.splitlines())
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def read_layout(folder: Path) -> RuntimeLayout:
    """Find a runtime's parts.

    Raises:
        RuntimeEnvironmentError: Not a virtual environment, not locked, or one that also sees
            packages which nobody measures.
    """
    folder = folder.absolute()
    found = _configuration(folder)
    if found.get("include-system-site-packages", "false").lower() != "false":
        raise RuntimeEnvironmentError(
            f"the runtime at {folder} sees the base interpreter's packages.",
            hint="Make it without --system-site-packages.",
        )
    lock = folder.parent / "uv.lock"
    if not lock.is_file():
        raise RuntimeEnvironmentError(
            f"the runtime at {folder} is not locked: no uv.lock beside it.", hint=_HINT
        )
    version = found.get("version_info") or found.get("version") or ""
    series = ".".join(version.split(".")[:2])
    base = Path(found.get("home", "")).parent
    executable = (folder / "bin" / "python").resolve()
    layout = RuntimeLayout(
        folder=folder,
        lock=lock,
        site_packages=folder / "lib" / f"python{series}" / "site-packages",
        base=base,
        executable=executable,
        stdlib=base / "lib" / f"python{series}",
        implementation=found.get("implementation", "CPython"),
        version=version,
    )
    for what, path in (
        ("packages", layout.site_packages),
        ("interpreter", executable),
        ("standard library", layout.stdlib / "os.py"),
    ):
        if not path.exists():
            raise RuntimeEnvironmentError(
                f"the runtime at {folder} has no {what} at {path}.", hint=_HINT
            )
    return layout


def runtime_python(folder: Path) -> Path:
    """Return the interpreter by which programs of the runtime are started.

    Raises:
        RuntimeEnvironmentError: There is no usable runtime in the folder.
    """
    return read_layout(folder).folder / "bin" / "python"


def runtime_roots(folder: Path) -> tuple[Path, ...]:
    """Return the host folders a guest must see, read-only and at the same paths, beside `/usr`.

    Raises:
        RuntimeEnvironmentError: There is no usable runtime in the folder.
    """
    layout = read_layout(folder)
    candidates = [layout.folder, layout.base, layout.executable.parent.parent]
    usr = Path("/usr")
    roots: list[Path] = []
    for path in candidates:
        if path != usr and path not in roots:
            roots.append(path)
    return tuple(roots)
