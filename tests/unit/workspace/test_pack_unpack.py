"""One folder, one archive, byte for byte; and only what `pack` wrote is ever unpacked."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from manatee.errors import WorkspaceError
from manatee.records import digest_bytes
from manatee.workspace import _members as members_module
from manatee.workspace import _pack as pack_module
from manatee.workspace import _tree as tree_module
from manatee.workspace import pack, unpack
from manatee.workspace._tar import END, member_header, padding


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "workspace"
    (root / "lib" / "deep").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "notebook.ipynb").write_text("{}")
    (root / "lib" / "model.py").write_text("x = 1\n")
    (root / "lib" / "deep" / "block.bin").write_bytes(bytes(range(256)) * 4)
    (root / "nothing").write_bytes(b"")
    (root / "übung.txt").write_text("ä")
    (root / ("long-" * 30 + "name")).write_text("long")
    return root


def tree(folder: Path) -> dict[str, bytes | None]:
    return {
        path.relative_to(folder).as_posix(): None if path.is_dir() else path.read_bytes()
        for path in folder.rglob("*")
    }


def archive_of(*members: tuple[str, bytes | None]) -> bytes:
    """Write what `pack` would write, were these names allowed; None is a folder."""
    written = b""
    for name, data in members:
        content = data or b""
        written += member_header(name, len(content), folder=data is None)
        written += content + padding(len(content))
    return written + END


def refused(data: bytes, tmp_path: Path) -> str:
    """Unpack hostile bytes under their own digest; nothing may be left, here or outside."""
    archive = tmp_path / "hostile.tar"
    archive.write_bytes(data)
    target = tmp_path / "inner" / "target"
    with pytest.raises(WorkspaceError) as caught:
        unpack(archive, target, expected=digest_bytes(data))
    assert not target.exists() or list(target.iterdir()) == []
    assert sorted(item.name for item in tmp_path.iterdir()) in (
        ["hostile.tar"],
        ["hostile.tar", "inner"],
    )
    return str(caught.value)


def test_the_same_files_give_the_same_archive_wherever_and_whenever(
    folder: Path, tmp_path: Path
) -> None:
    first = pack(folder, tmp_path / "one.tar")
    again = pack(folder, tmp_path / "two.tar")
    copy = tmp_path / "elsewhere" / "copy"
    before = os.umask(0o077)
    try:
        for name, data in sorted(tree(folder).items(), reverse=True):
            path = copy / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if data is None:
                path.mkdir(exist_ok=True)
            else:
                path.write_bytes(data)
                path.chmod(0o700)
                os.utime(path, (1, 1))
        moved = pack(copy, tmp_path / "three.tar")
    finally:
        os.umask(before)
    assert first == again == moved
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "three.tar").read_bytes()
    assert first == "sha256:" + hashlib.sha256((tmp_path / "one.tar").read_bytes()).hexdigest()


def test_a_changed_byte_or_name_changes_the_digest(folder: Path, tmp_path: Path) -> None:
    digests = [pack(folder, tmp_path / "a.tar")]
    (folder / "lib" / "model.py").write_text("x = 2\n")
    digests.append(pack(folder, tmp_path / "a.tar"))
    (folder / "lib" / "model.py").rename(folder / "lib" / "models.py")
    digests.append(pack(folder, tmp_path / "a.tar"))
    (folder / "empty").rmdir()
    digests.append(pack(folder, tmp_path / "a.tar"))
    assert len(set(digests)) == 4


def test_unpacking_gives_the_folder_back_and_packing_that_the_archive(
    folder: Path, tmp_path: Path
) -> None:
    digest = pack(folder, tmp_path / "a.tar")
    unpack(tmp_path / "a.tar", tmp_path / "out", expected=digest)
    assert tree(tmp_path / "out") == tree(folder)
    assert pack(tmp_path / "out", tmp_path / "b.tar") == digest
    modes = {path.stat().st_mode & 0o7777 for path in (tmp_path / "out").rglob("*")}
    assert modes <= {0o755, 0o644}


def test_other_tars_read_the_archive(folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "a.tar")
    with tarfile.open(tmp_path / "a.tar") as archive:
        found = {member.name: member for member in archive.getmembers()}
        assert set(found) == set(tree(folder))
        assert {member.mtime for member in found.values()} == {0}
        assert {(m.uid, m.gid, m.uname, m.gname) for m in found.values()} == {(0, 0, "", "")}


def test_version_control_caches_and_checkpoints_are_left_out(folder: Path, tmp_path: Path) -> None:
    clean = pack(folder, tmp_path / "a.tar")
    for name in (".git", ".ipynb_checkpoints", "lib/__pycache__", ".venv"):
        (folder / name).mkdir()
        (folder / name / "file").write_text("x")
    (folder / "lib" / "model.pyc").write_text("x")
    assert pack(folder, tmp_path / "b.tar") == clean


def make_symlink(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def make_folder_link(path: Path) -> None:
    path.symlink_to("/etc", target_is_directory=True)


def make_broken_link(path: Path) -> None:
    path.symlink_to("nowhere")


def make_hard_link(path: Path) -> None:
    os.link(path.parent / "notebook.ipynb", path)


def make_outside_hard_link(path: Path) -> None:
    outside = path.parent.parent / "outside"
    outside.write_text("private")
    os.link(outside, path)


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def make_device(path: Path) -> None:
    try:
        os.mknod(path, 0o20644, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("devices cannot be made here")


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (make_symlink, "a symbolic link"),
        (make_folder_link, "a symbolic link"),
        (make_broken_link, "a symbolic link"),
        (make_hard_link, "a hard link"),
        (make_outside_hard_link, "a hard link"),
        (make_fifo, "not a plain file"),
        (make_socket, "not a plain file"),
        (make_device, "not a plain file"),
    ],
)
def test_anything_but_plain_files_and_folders_is_refused(
    make: Callable[[Path], None], said: str, folder: Path, tmp_path: Path
) -> None:
    make(folder / "odd")
    with pytest.raises(WorkspaceError, match=said):
        pack(folder, tmp_path / "a.tar")
    assert not list(tmp_path.glob("*a.tar*"))


@pytest.mark.parametrize(
    "name",
    [
        *("a\nb", "a\tb", "\x1b[2J", "a\x7f", "a\u200bb", "a\u202etxt", "a\u2028b", "\ufeffa"),
        *("a\\b", "\u00adx"),
    ],
    ids=ascii,
)
def test_names_that_deceive_a_reader_are_refused(name: str, folder: Path, tmp_path: Path) -> None:
    (folder / name).write_text("x")
    with pytest.raises(WorkspaceError) as caught:
        pack(folder, tmp_path / "a.tar")
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()


def test_names_that_are_not_utf8_are_refused(folder: Path, tmp_path: Path) -> None:
    with open(os.fsencode(folder) + b"/caf\xe9", "wb"):
        pass
    with pytest.raises(WorkspaceError, match="not UTF-8"):
        pack(folder, tmp_path / "a.tar")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Data.csv", "data.csv"),
        ("caf\u00e9", "cafe\u0301"),
        ("STRASSE", "stra\u00dfe"),
        ("\u212bngstrom", "\u00c5ngstrom"),
        ("lib", "LIB"),
    ],
    ids=ascii,
)
def test_two_names_that_are_one_elsewhere_are_refused(
    one: str, other: str, folder: Path, tmp_path: Path
) -> None:
    for name in (one, other):
        if not (folder / name).is_dir():
            (folder / name).write_text("x")
    with pytest.raises(WorkspaceError, match="one and the same"):
        pack(folder, tmp_path / "a.tar")


def test_too_many_files_are_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = len(tree(folder))
    monkeypatch.setattr(tree_module, "MAX_FILES", count)
    pack(folder, tmp_path / "a.tar")
    monkeypatch.setattr(tree_module, "MAX_FILES", count - 1)
    with pytest.raises(WorkspaceError, match="files and folders"):
        pack(folder, tmp_path / "a.tar")


def test_too_many_bytes_are_refused_before_one_is_copied(folder: Path, tmp_path: Path) -> None:
    with open(folder / "huge", "wb") as file:
        file.truncate((1 << 30) + 1)
    with pytest.raises(WorkspaceError, match="more than 1024 MiB"):
        pack(folder, tmp_path / "a.tar")
    assert not list(tmp_path.glob("*a.tar*"))


def test_an_archive_over_the_limits_is_not_unpacked(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = pack(folder, tmp_path / "a.tar")
    for limit, value in (("MAX_FILES", 2), ("MAX_BYTES", 5)):
        with monkeypatch.context() as patch:
            patch.setattr(members_module, limit, value)
            with pytest.raises(WorkspaceError, match="more than a workspace may"):
                unpack(tmp_path / "a.tar", tmp_path / "out", expected=digest)
        assert list((tmp_path / "out").iterdir()) == []


def changes_while_packed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[], None]
) -> None:
    """Let something happen after the folder was listed and before its files are copied."""
    (tmp_path / "a.tar").write_bytes(b"an earlier archive")
    listed = tree_module.list_tree
    calls = []

    def list_then_change(root: Path) -> list[tree_module.Entry]:
        entries = listed(root)
        if not calls:
            change()
        calls.append(root)
        return entries

    monkeypatch.setattr(pack_module, "list_tree", list_then_change)
    with pytest.raises(WorkspaceError):
        pack(folder, tmp_path / "a.tar")
    assert (tmp_path / "a.tar").read_bytes() == b"an earlier archive"
    assert not list(tmp_path.glob(".a.tar*"))


@pytest.mark.parametrize("what", ["grow", "shrink", "same", "link", "gone", "new", "swap"])
@pytest.mark.timeout(10)
def test_a_workspace_that_changes_while_packed_gives_no_archive(
    what: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "lib" / "model.py"

    def change() -> None:
        if what == "grow":
            path.write_text("x = 1\n" * 50)
        elif what == "shrink":
            path.write_text("")
        elif what == "same":
            path.write_text("x = 7\n")
        elif what == "new":
            (folder / "lib" / "new").write_text("x")
        else:
            path.unlink()
            if what == "link":
                path.symlink_to("/etc/hostname")
            if what == "swap":
                os.mkfifo(path)

    changes_while_packed(folder, tmp_path, monkeypatch, change)


def test_an_archive_inside_its_own_folder_is_refused(folder: Path) -> None:
    with pytest.raises(WorkspaceError, match="inside the workspace"):
        pack(folder, folder / "lib" / "a.tar")
    assert not (folder / "lib" / "a.tar").exists()


def test_a_missing_folder_and_an_unwritable_place_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="cannot be read"):
        pack(tmp_path / "none", tmp_path / "a.tar")
    with pytest.raises(WorkspaceError, match="cannot be written"):
        pack(folder, tmp_path / "none" / "a.tar")


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/tmp/x", "..", ".", "./x", "a//b", "a/.", "a\nb", "\x00", "a\\b"]
)
def test_names_that_lead_outside_are_never_unpacked(name: str, tmp_path: Path) -> None:
    refused(archive_of((name, b"x")), tmp_path)


def other_header(start: int, field: bytes, data: bytes = b"x") -> bytes:
    """Return an archive of one file, one header field changed and the checksum made right."""
    header = bytearray(member_header("a", len(data), folder=False))
    header[start : start + len(field)] = field
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\x00 " % sum(header)
    return bytes(header) + data + padding(len(data)) + END


def test_the_unchanged_member_is_our_form_so_each_change_below_is_what_is_refused(
    tmp_path: Path,
) -> None:
    data = other_header(100, b"0000644")
    assert data == archive_of(("a", b"x"))
    (tmp_path / "a.tar").write_bytes(data)
    unpack(tmp_path / "a.tar", tmp_path / "out", expected=digest_bytes(data))
    assert (tmp_path / "out" / "a").read_bytes() == b"x"


@pytest.mark.parametrize(
    ("start", "field"),
    [
        (100, b"0000755"),
        (100, b"0004644"),
        (108, b"0001750"),
        (116, b"0001750"),
        (136, b"00000000001"),
        (124, b"-0000000001"),
        (124, b"\x80\x00\x00\x00"),
        (124, b"          1"),
        (265, b"root"),
        (297, b"root"),
        (257, b"ustar  \x00"),
        (329, b"0000001"),
        (345, b"/etc"),
        (500, b"hidden"),
        (157, b"/etc/passwd"),
        (3, b"hidden"),
        *((156, kind) for kind in (b"1", b"2", b"3", b"4", b"6", b"7", b"g", b"L", b"S", b"\x00")),
    ],
)
def test_members_of_another_form_are_refused(start: int, field: bytes, tmp_path: Path) -> None:
    refused(other_header(start, field), tmp_path)
    refused(other_header(start, field, b""), tmp_path)


GOOD = archive_of(("a", b"x"), ("b", None), ("b/c", b"yy"))


@pytest.mark.parametrize(
    "data",
    [
        GOOD + b"\x00",
        GOOD + bytes(512),
        GOOD + b"hidden",
        GOOD + GOOD,
        GOOD[:-512],
        GOOD[:-1],
        GOOD[:700],
        b"",
        b"\x1f\x8b" + bytes(600),
        GOOD[:600] + b"h" + GOOD[601:],
        archive_of(("b", b"x"), ("a", b"x")),
        archive_of(("a", b"x"), ("a", b"y")),
        archive_of(("a", b"x"), ("A", b"y")),
        archive_of(("b/c", b"x")),
        archive_of(("a", b"x"), ("a/b", b"y")),
        archive_of(("a", None), ("a", b"y")),
    ],
    ids=range(16),
)
def test_bytes_that_pack_would_not_have_written_are_refused(data: bytes, tmp_path: Path) -> None:
    refused(data, tmp_path)


def test_pax_headers_that_pack_would_not_write_are_refused(tmp_path: Path) -> None:
    for headers in ({"path": "a"}, {"comment": "x"}, {"path": "b" * 200, "comment": "x"}):
        member = tarfile.TarInfo("a")
        member.pax_headers = headers
        target = io.BytesIO()
        with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive:
            archive.addfile(member)
        cut = target.getvalue().rstrip(b"\x00")
        refused(cut + bytes(-len(cut) % 512) + END, tmp_path)


def test_every_single_flipped_byte_is_noticed(tmp_path: Path) -> None:
    for position in range(0, len(GOOD), 37):
        data = bytearray(GOOD)
        data[position] ^= 0x01
        archive = tmp_path / "a.tar"
        archive.write_bytes(data)
        with pytest.raises(WorkspaceError, match="digests differ"):
            unpack(archive, tmp_path / "out", expected=digest_bytes(GOOD))
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("expected", ["", "sha256:0", "SHA256:" + "0" * 64, "0" * 64])
def test_a_digest_that_is_none_is_refused(expected: str, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(GOOD)
    with pytest.raises(WorkspaceError, match="expected digest"):
        unpack(tmp_path / "a.tar", tmp_path / "out", expected=expected)


def test_an_archive_swapped_between_the_digest_and_the_reading_gains_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from manatee.workspace import _unpack as unpack_module

    archive = tmp_path / "a.tar"
    archive.write_bytes(GOOD)
    check = unpack_module._check_digest

    def check_then_swap(path: Path, expected: str) -> None:
        check(path, expected)
        archive.write_bytes(archive_of(("evil", b"x")))

    monkeypatch.setattr(unpack_module, "_check_digest", check_then_swap)
    with pytest.raises(WorkspaceError, match="changed while it was unpacked"):
        unpack(archive, tmp_path / "out", expected=digest_bytes(GOOD))
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(GOOD)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    with pytest.raises(WorkspaceError, match="not empty"):
        unpack(tmp_path / "a.tar", tmp_path / "out", expected=digest_bytes(GOOD))
    assert tree(tmp_path / "out") == {"mine": b"x"}


def test_a_missing_archive_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="cannot be read"):
        unpack(tmp_path / "none", tmp_path / "out", expected=digest_bytes(b""))


def test_an_empty_folder_is_a_workspace_too(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    digest = pack(tmp_path / "empty", tmp_path / "a.tar")
    assert digest == digest_bytes(END)
    unpack(tmp_path / "a.tar", tmp_path / "out", expected=digest)
    assert list((tmp_path / "out").iterdir()) == []


def test_gnu_tar_lists_the_archive_without_complaint(folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "a.tar")
    ran = subprocess.run(
        ["tar", "--list", "--file", str(tmp_path / "a.tar")], capture_output=True, check=True
    )
    assert ran.stderr == b""
