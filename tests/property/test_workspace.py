"""Any tree survives packing; any bytes are unpacked as packed, or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from manatee.errors import ManateeError, WorkspaceError
from manatee.records import digest_bytes
from manatee.workspace import SKIPPED_NAMES, SKIPPED_SUFFIXES, pack, unpack
from manatee.workspace._tar import END, member_header, padding

parts = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp")), max_size=40
) | st.sampled_from(
    ["a", "b", "A", "é", "e\u0301", "..", ".", "", "lib", "x" * 120, ".git", "a.pyc"]
)
names = st.lists(parts, min_size=1, max_size=4).map("/".join)
trees = st.dictionaries(names, st.none() | st.binary(max_size=1500), max_size=8)


@contextmanager
def place() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp())
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def make(root: Path, tree: dict[str, bytes | None]) -> None:
    """Make as much of the tree as a file system takes."""
    root.mkdir()
    for name, data in tree.items():
        path = root / name
        if ".." in path.parts or not path.is_relative_to(root):
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if data is None:
                path.mkdir(exist_ok=True)
            elif not path.exists():
                path.write_bytes(data)
        except (OSError, ValueError):
            continue


def content(root: Path) -> dict[str, bytes | None]:
    found: dict[str, bytes | None] = {}
    for path in root.rglob("*"):
        name = path.relative_to(root)
        if SKIPPED_NAMES & set(name.parts) or any(p.endswith(SKIPPED_SUFFIXES) for p in name.parts):
            continue
        found[name.as_posix()] = None if path.is_dir() else path.read_bytes()
    return found


@settings(max_examples=120, deadline=None)
@given(trees)
@example({"a": None, "a.b": b"1", "a/b": b"2", "a!": b"3"})
def test_packing_unpacking_and_packing_again_changes_nothing(tree: dict[str, bytes | None]) -> None:
    with place() as folder:
        make(folder / "in", tree)
        try:
            digest = pack(folder / "in", folder / "a.tar")
        except WorkspaceError:
            assert not (folder / "a.tar").exists()
            return
        unpack(folder / "a.tar", folder / "out", expected=digest)
        assert content(folder / "out") == content(folder / "in")
        assert pack(folder / "out", folder / "b.tar") == digest
        assert (folder / "a.tar").read_bytes() == (folder / "b.tar").read_bytes()


def written(members: list[tuple[str, bytes | None]]) -> bytes:
    data = b""
    for name, inner in members:
        data += member_header(name, len(inner or b""), folder=inner is None)
        data += (inner or b"") + padding(len(inner or b""))
    return data + END


GENUINE = written([("a", b"x" * 600), ("b", None), ("b/c", b""), ("b/" + "ü" * 90, b"long")])


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = bytearray(GENUINE)
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        how = draw(st.sampled_from(["set", "cut", "insert", "copy"]))
        if how == "set":
            piece = draw(st.binary(min_size=1, max_size=8) | st.sampled_from([b"../", b"/", b"2"]))
            data[at : at + len(piece)] = piece
        elif how == "cut":
            del data[at : at + draw(st.sampled_from([1, 512, 1024]))]
        elif how == "insert":
            data[at:at] = draw(st.binary(max_size=600))
        else:
            start = 512 * draw(st.integers(0, len(data) // 512))
            data[at:at] = data[start : start + 512]
    return bytes(data)


members = st.lists(st.tuples(names, st.none() | st.binary(max_size=20)), max_size=5)


@settings(max_examples=300, deadline=None)
@given(mutated() | members.map(written) | st.binary(max_size=1200))
@example(GENUINE)
def test_no_bytes_write_outside_and_whatever_is_unpacked_packs_to_the_same(data: bytes) -> None:
    with place() as folder:
        archive, target = folder / "a.tar", folder / "inner" / "out"
        archive.write_bytes(data)
        try:
            unpack(archive, target, expected=digest_bytes(data))
        except ManateeError:
            assert not target.exists() or list(target.iterdir()) == []
        else:
            skipped = SKIPPED_NAMES | {"a.pyc"}
            if not any(skipped & set(path.parts) for path in target.rglob("*")):
                assert pack(target, folder / "again.tar") == digest_bytes(data)
                (folder / "again.tar").unlink()
        outside = {path.relative_to(folder).parts[0] for path in folder.rglob("*")}
        assert outside <= {"a.tar", "inner"}
        inner = folder / "inner"
        assert not inner.exists() or [path.name for path in inner.iterdir()] == ["out"]
