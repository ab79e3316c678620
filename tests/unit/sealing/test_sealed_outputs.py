"""Outputs sealed to people: who can open them, and what hostile archives do not get away with."""

import io
import subprocess
import tarfile
from pathlib import Path

import pyrage
import pytest

from manatee.errors import SealingError, TooLargeError
from manatee.records import OutputFile
from manatee.sealing import _outputs as outputs
from manatee.sealing import (
    check_recipient,
    new_identity,
    open_outputs,
    recipient_of,
    seal_outputs,
)

FILES = (
    OutputFile(path="figures/größe.png", data=b"\x89PNG"),
    OutputFile(path="a.json", data=b"{}"),
    OutputFile(path="long/" + "x" * 200 + ".txt", data=b""),
)


def sealed_raw(data: bytes, recipient: str) -> bytes:
    return bytes(pyrage.encrypt(data, [pyrage.x25519.Recipient.from_str(recipient)]))


def archive(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=form) as tar:
        for member, data in members:
            tar.addfile(member, io.BytesIO(data))
    return sink.getvalue()


def plain(name: str, data: bytes = b"x") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    member.mode = 0o644
    return member, data


def special(name: str, kind: bytes) -> tuple[tarfile.TarInfo, bytes]:
    member, _ = plain(name, b"")
    member.type = kind
    member.linkname = "/etc/passwd"
    return member, b""


def test_every_recipient_opens_the_outputs_and_nobody_else():
    (first, to_first), (second, to_second), (stranger, _) = (new_identity() for _ in range(3))
    sealed = seal_outputs(FILES, [to_first, to_second])
    expected = tuple(sorted(FILES, key=lambda file: file.path))
    assert open_outputs(sealed, first) == expected
    assert open_outputs(sealed, second) == expected
    with pytest.raises(SealingError, match="another recipient"):
        open_outputs(sealed, stranger)


def test_nothing_is_sealed_to_nobody():
    with pytest.raises(SealingError, match="at least one recipient"):
        seal_outputs(FILES, [])


def test_a_run_without_outputs_seals_an_empty_archive():
    identity, recipient = new_identity()
    assert open_outputs(seal_outputs((), [recipient]), identity) == ()


def test_the_recipient_follows_from_the_identity():
    identity, recipient = new_identity()
    assert recipient_of(identity) == recipient
    assert check_recipient(recipient) == recipient


@pytest.mark.parametrize("text", ["", "age1", "age1" + "q" * 58, "ssh-ed25519 AAAA"])
def test_what_is_no_recipient_is_refused(text):
    with pytest.raises(SealingError, match="not an age recipient"):
        seal_outputs(FILES, [text])
    with pytest.raises(SealingError, match="not an age identity"):
        recipient_of(text)


def test_the_archive_is_the_same_bytes_whatever_the_order():
    assert outputs._pack(FILES) == outputs._pack(tuple(reversed(FILES)))


def test_any_tar_reader_opens_the_archive(tmp_path: Path):
    (tmp_path / "out.tar").write_bytes(outputs._pack(FILES))
    subprocess.run(["tar", "-xf", "out.tar"], cwd=tmp_path, check=True, timeout=30)
    assert (tmp_path / FILES[0].path).read_bytes() == FILES[0].data


def test_two_outputs_of_one_path_are_refused():
    _, recipient = new_identity()
    with pytest.raises(SealingError, match="same path"):
        seal_outputs([FILES[0], FILES[0]], [recipient])


@pytest.mark.parametrize("position", [10, -20])
def test_a_flipped_byte_does_not_open(position):
    identity, recipient = new_identity()
    data = bytearray(seal_outputs(FILES, [recipient]))
    data[position] ^= 1
    with pytest.raises(SealingError):
        open_outputs(bytes(data), identity)


def test_truncated_outputs_do_not_open():
    identity, recipient = new_identity()
    data = seal_outputs(FILES, [recipient])
    for length in (0, 1, 50, len(data) // 2, len(data) - 1):
        with pytest.raises(SealingError):
            open_outputs(data[:length], identity)


def test_oversized_outputs_are_refused_before_decryption(monkeypatch):
    identity, recipient = new_identity()
    data = seal_outputs(FILES, [recipient])
    monkeypatch.setattr(outputs, "MAX_SEALED_BYTES", len(data) - 1)
    with pytest.raises(TooLargeError):
        open_outputs(data, identity)


def sparse_bomb() -> bytes:
    member, _ = plain("bomb", b"")
    member.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.size": str(1 << 50)}
    return archive((member, b""))


def claims_more_than_there_is() -> bytes:
    data = bytearray(archive(plain("a")))
    data[124:136] = b"77777777777\0"
    data[148:156] = b"%06o\0 " % (sum(data[:148]) + 8 * 32 + sum(data[156:512]))
    return bytes(data)


HOSTILE = {
    "symbolic link": archive(special("a", tarfile.SYMTYPE)),
    "hard link": archive(special("a", tarfile.LNKTYPE)),
    "device": archive(special("a", tarfile.CHRTYPE)),
    "folder": archive(special("a", tarfile.DIRTYPE)),
    "named pipe": archive(special("a", tarfile.FIFOTYPE)),
    "contiguous file": archive(special("a", tarfile.CONTTYPE)),
    "absolute path": archive(plain("/etc/passwd")),
    "way out of the folder": archive(plain("../a")),
    "control character in a name": archive(plain("a\nb")),
    "one name twice": archive(plain("a"), plain("a")),
    "wrong order": archive(plain("b"), plain("a")),
    "another tar format": archive(plain("ä"), form=tarfile.GNU_FORMAT),
    "trailing bytes": outputs._pack(FILES) + b"\0",
    "bytes after the end": outputs._pack(FILES) + archive(plain("z")),
    "sparse bomb": sparse_bomb(),
    "size beyond the archive": claims_more_than_there_is(),
    "no archive": b"hello",
    "nothing": b"",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_from_a_stranger_is_refused(name):
    identity, recipient = new_identity()
    with pytest.raises(SealingError):
        open_outputs(sealed_raw(HOSTILE[name], recipient), identity)


def test_an_archive_of_too_many_members_is_refused(monkeypatch):
    monkeypatch.setattr(outputs, "MAX_OUTPUT_FILES", 2)
    with pytest.raises(SealingError):
        outputs._unpack(outputs._pack(FILES))


def test_modes_owners_and_times_do_not_travel():
    member, data = plain("a")
    member.mtime, member.uname, member.mode = 1, "somebody", 0o4755
    with pytest.raises(SealingError, match="not have written"):
        outputs._unpack(archive((member, data)))
