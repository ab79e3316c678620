"""The files that make up a runtime, and one digest over all of them.

Names are relative to their root, so a runtime has the same digest wherever it lies. Left out is
what differs between two installations of the same lock file: byte code, installer records,
launch scripts. Python does load byte code that claims to fit its source, and the system's C
library lies outside: both are the host's word under the sandbox backend. A backend whose device
measures the whole image takes neither on trust.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from manatee.errors import RuntimeEnvironmentError
from manatee.records import Digest, digest_file, length_prefixed
from manatee.runtime._layout import RuntimeLayout

_CACHES = frozenset({"__pycache__"})
_BASE_LEFT_OUT = _CACHES | {"site-packages", "test", "tests", "idle_test"}
_INSTALLER_RECORDS = frozenset(
    {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"}
)
_HASHERS = 4
"""Threads; hashing lets go of the interpreter lock."""


@dataclass(frozen=True)
class Entry:
    """One measured file or link.

    Attributes:
        name: `<root>/<relative path>`, the same on every machine.
        path: Where it lies here.
        link: Target of a symbolic link; None for a file.
        content: The file whose content is measured; None for a link inside its root.
        fingerprint: Changes whenever the entry may have changed.
    """

    name: str
    path: str
    link: str | None
    content: str | None
    fingerprint: str


def _stat_text(status: os.stat_result) -> str:
    return (
        f"{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}:{status.st_ino}"
        f":{status.st_mode}"
    )


def _link_entry(name: str, path: str, root: str, status: os.stat_result) -> Entry:
    link = os.readlink(path)
    target = os.path.normpath(os.path.join(os.path.dirname(path), link))
    if target.startswith(root + os.sep):
        return Entry(name, path, link, None, _stat_text(status) + link)
    try:
        followed = os.stat(path)
    except OSError as error:
        raise RuntimeEnvironmentError(
            f"the runtime's {name} is a link that leads nowhere.", hint="Make the runtime anew."
        ) from error
    if not stat.S_ISREG(followed.st_mode):
        raise RuntimeEnvironmentError(
            f"the runtime's {name} is a link to a folder outside that nobody measures.",
            hint="Install with copies: `uv sync --link-mode copy --no-editable`.",
        )
    return Entry(name, path, "outside", path, _stat_text(status) + _stat_text(followed))


def _walk(label: str, root: Path, left_out: frozenset[str]) -> Iterator[Entry]:
    top = str(root)
    pending = [(label, top)]
    while pending:
        prefix, folder = pending.pop()
        with os.scandir(folder) as found:
            for item in found:
                name = f"{prefix}/{item.name}"
                status = item.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    if item.name not in left_out:
                        pending.append((name, item.path))
                elif stat.S_ISLNK(status.st_mode):
                    if item.name not in left_out:
                        yield _link_entry(name, item.path, top, status)
                elif not (
                    item.name.endswith(".pyc")
                    or (item.name in _INSTALLER_RECORDS and prefix.endswith(".dist-info"))
                ):
                    yield Entry(name, item.path, None, item.path, _stat_text(status))


def list_entries(layout: RuntimeLayout) -> list[Entry]:
    """Return everything measured, in the order of names.

    Raises:
        RuntimeEnvironmentError: A part cannot be read, or leads to code that nobody measures.
    """
    try:
        entries = list(_walk("site-packages", layout.site_packages, _CACHES))
        entries += _walk("stdlib", layout.stdlib, _BASE_LEFT_OUT)
        singles = [("executable", layout.executable)]
        singles += [
            (f"lib/{path.name}", path)
            for path in (layout.base / "lib").glob("libpython*.so*")
            if not path.is_symlink()
        ]
        for name, path in singles:
            entries.append(Entry(name, str(path), None, str(path), _stat_text(path.stat())))
    except OSError as error:
        raise RuntimeEnvironmentError(
            f"the runtime at {layout.folder} cannot be read: {error.strerror}.",
            hint="It may be being changed just now; try again.",
        ) from error
    entries.sort(key=lambda entry: entry.name)
    return entries


def refuse_path_files(layout: RuntimeLayout) -> None:
    """Refuse `.pth` files that add folders outside, as editable installs do.

    Raises:
        RuntimeEnvironmentError: There is one.
    """
    for path in sorted(layout.site_packages.glob("*.pth")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            text = line.strip()
            if text and not text.startswith(("#", "import ", "import\t")):
                raise RuntimeEnvironmentError(
                    f"the runtime's {path.name} adds a folder outside that nobody measures.",
                    hint="Install with `uv sync --locked --no-editable`.",
                )


def fingerprint(entries: list[Entry]) -> str:
    """Return a digest over names, sizes, times, inodes and modes: cheap, and only for caching."""
    state = hashlib.sha256()
    for entry in entries:
        state.update(f"{entry.name}\0{entry.fingerprint}\n".encode("utf-8", "surrogateescape"))
    return state.hexdigest()


def _content(entry: Entry) -> str:
    return "" if entry.content is None else digest_file(Path(entry.content))[0]


def tree_digest(entries: list[Entry]) -> Digest:
    """Return the digest over names, kinds, link targets and contents.

    Raises:
        RuntimeEnvironmentError: A file vanished meanwhile.
    """
    state = hashlib.sha256(b"manatee-runtime-tree/v1")
    try:
        with ThreadPoolExecutor(_HASHERS) as pool:
            contents = list(pool.map(_content, entries, chunksize=64))
    except OSError as error:
        raise RuntimeEnvironmentError(
            "a file of the runtime cannot be read.", hint="Make the runtime anew."
        ) from error
    for entry, content in zip(entries, contents, strict=True):
        kind = "file" if entry.link is None else "link"
        inside = entry.link if entry.link is not None and entry.content is None else ""
        name = entry.name.encode("utf-8", "surrogateescape")
        state.update(length_prefixed(name, kind, os.fsencode(inside), content))
    return Digest("sha256:" + state.hexdigest())
