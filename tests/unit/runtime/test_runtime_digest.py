"""The runtime digest: the same wherever a runtime lies, another as soon as its code is."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from manatee.errors import RuntimeEnvironmentError
from manatee.runtime import describe_runtime, runtime_digest, runtime_python, runtime_roots

SERIES = "python3.11"


def make_runtime(folder: Path) -> Path:
    """A runtime over an interpreter of a few files, locked."""
    base = folder / "base"
    runtime = folder / "project" / ".venv"
    for path, text in {
        base / "bin" / SERIES: "interpreter",
        base / "lib" / SERIES / "os.py": "import this",
        base / "lib" / SERIES / "test" / "test_os.py": "assert True",
        base / "lib" / SERIES / "site-packages" / "unseen.py": "nobody imports this",
        base / "lib" / "libpython3.11.so.1.0": "shared",
        runtime / "lib" / SERIES / "site-packages" / "library" / "__init__.py": "ANSWER = 1",
        runtime / "lib" / SERIES / "site-packages" / "library-1.dist-info" / "METADATA": "x",
        runtime / "lib" / SERIES / "site-packages" / "library-1.dist-info" / "RECORD": "x",
        runtime / "pyvenv.cfg": (
            f"home = {base}/bin\nimplementation = CPython\nversion_info = 3.11.7\n"
        ),
        runtime.parent / "uv.lock": "version = 1\n",
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (runtime / "bin").mkdir()
    (runtime / "bin" / "python").symlink_to(base / "bin" / SERIES)
    return runtime


def site(runtime: Path) -> Path:
    return runtime / "lib" / SERIES / "site-packages"


def stdlib(runtime: Path) -> Path:
    return runtime.parents[1] / "base" / "lib" / SERIES


def test_a_copy_elsewhere_has_the_same_digest(tmp_path: Path) -> None:
    first = make_runtime(tmp_path / "here")
    second = make_runtime(tmp_path / "far" / "away")
    assert runtime_digest(first) == runtime_digest(second)


CHANGES: dict[str, Callable[[Path], object]] = {
    "a library's code": lambda r: (site(r) / "library" / "__init__.py").write_text("ANSWER = 2"),
    "a new module": lambda r: (site(r) / "library" / "more.py").write_text(""),
    "a renamed module": lambda r: (site(r) / "library").rename(site(r) / "other"),
    "the standard library": lambda r: (stdlib(r) / "os.py").write_text("import that"),
    "the interpreter": lambda r: (stdlib(r).parents[1] / "bin" / SERIES).write_text("other"),
    "a shared library": lambda r: (stdlib(r).parent / "libpython3.11.so.1.0").write_text("other"),
    "the lock file": lambda r: (r.parent / "uv.lock").write_text("version = 2\n"),
    "a link": lambda r: (site(r) / "alias.py").symlink_to("library/__init__.py"),
    "a start-up hook": lambda r: (site(r) / "hook.pth").write_text("import os"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.parametrize("cached", [False, True])
def test_a_change_changes_the_digest(
    tmp_path: Path, change: Callable[[Path], object], cached: bool
) -> None:
    cache = tmp_path / "cache" if cached else None
    runtime = make_runtime(tmp_path)
    before = runtime_digest(runtime, cache=cache)
    change(runtime)
    assert runtime_digest(runtime, cache=cache) != before


def test_what_differs_between_installations_of_one_lock_is_left_out(tmp_path: Path) -> None:
    runtime = make_runtime(tmp_path)
    before = runtime_digest(runtime)
    cached = site(runtime) / "library" / "__pycache__"
    cached.mkdir()
    (cached / "__init__.cpython-311.pyc").write_bytes(b"\0")
    (site(runtime) / "library-1.dist-info" / "RECORD").write_text("other")
    (site(runtime) / "library-1.dist-info" / "INSTALLER").write_text("uv")
    (runtime / "bin" / "tool").write_text("#!/elsewhere")
    (stdlib(runtime) / "test" / "test_os.py").write_text("assert False")
    (stdlib(runtime) / "site-packages" / "unseen.py").write_text("other")
    assert runtime_digest(runtime) == before


def test_a_link_outside_is_measured_by_what_it_leads_to(tmp_path: Path) -> None:
    runtime = make_runtime(tmp_path)
    outside = tmp_path / "outside.py"
    outside.write_text("one")
    (site(runtime) / "linked.py").symlink_to(outside)
    before = runtime_digest(runtime, cache=tmp_path / "cache")
    outside.write_text("two!")
    assert runtime_digest(runtime, cache=tmp_path / "cache") != before


def _unlocked(runtime: Path) -> None:
    (runtime.parent / "uv.lock").unlink()


def _editable(runtime: Path) -> None:
    (site(runtime) / "_editable.pth").write_text("/elsewhere/src\n")


def _system(runtime: Path) -> None:
    with (runtime / "pyvenv.cfg").open("a") as stream:
        stream.write("include-system-site-packages = true\n")


def _linked_folder(runtime: Path) -> None:
    (site(runtime) / "linked").symlink_to(runtime.parents[1])


def _dangling(runtime: Path) -> None:
    (site(runtime) / "gone.py").symlink_to("/nonexistent/gone.py")


def _no_interpreter(runtime: Path) -> None:
    (runtime / "bin" / "python").unlink()


@pytest.mark.parametrize(
    "damage", [_unlocked, _editable, _system, _linked_folder, _dangling, _no_interpreter]
)
def test_a_runtime_that_would_run_unmeasured_code_is_refused(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    runtime = make_runtime(tmp_path)
    damage(runtime)
    with pytest.raises(RuntimeEnvironmentError) as caught:
        runtime_digest(runtime)
    assert caught.value.hint, "the message says what to do"


def test_no_runtime_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeEnvironmentError):
        runtime_digest(tmp_path)


def test_a_damaged_cache_is_no_cache(tmp_path: Path) -> None:
    runtime, cache = make_runtime(tmp_path), tmp_path / "cache"
    before = runtime_digest(runtime, cache=cache)
    for file in cache.iterdir():
        file.write_bytes(b"{")
    assert runtime_digest(runtime, cache=cache) == before


def test_a_warm_cache_is_believed_so_only_its_owner_may_write_it(tmp_path: Path) -> None:
    runtime, cache = make_runtime(tmp_path), tmp_path / "cache"
    before = runtime_digest(runtime, cache=cache)
    (note,) = cache.iterdir()
    found = json.loads(note.read_text())
    note.write_text(json.dumps({**found, "tree_sha256": "sha256:" + "0" * 64}))
    assert runtime_digest(runtime, cache=cache) != before, "no library was read again"
    assert runtime_digest(runtime) == before


def test_a_real_environment_is_described(tmp_path: Path) -> None:
    runtime = make_runtime(tmp_path)
    found = describe_runtime(runtime)
    assert (found.implementation, found.python) == ("CPython", "3.11.7")
    assert found.platform.startswith(sys.platform)
    assert runtime_python(runtime) == runtime / "bin" / "python"
    assert set(runtime_roots(runtime)) == {runtime, tmp_path / "base"}
    shutil.rmtree(tmp_path / "base")
    with pytest.raises(RuntimeEnvironmentError):
        runtime_roots(runtime)
