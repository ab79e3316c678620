"""Outputs sealed to people: who can open them, and what hostile archives do not get away with."""

import io
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pyrage
import pytest

from manatee.errors import SealingError, TooLargeError
from manatee.records import OutputFile, RunOutputs
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
SALT = bytes(range(32))
SALT_FILE = SALT.hex().encode() + b"\n"
OUTPUTS = RunOutputs(FILES, salt=SALT)


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
    sealed = seal_outputs(OUTPUTS, [to_first, to_second])
    expected = RunOutputs(tuple(sorted(FILES, key=lambda file: file.path)), salt=SALT)
    assert open_outputs(sealed, first) == expected
    assert open_outputs(sealed, second) == expected
    with pytest.raises(SealingError, match="another recipient"):
        open_outputs(sealed, stranger)


def test_nothing_is_sealed_to_nobody():
    with pytest.raises(SealingError, match="at least one recipient"):
        seal_outputs(OUTPUTS, [])


def test_a_run_without_outputs_seals_an_empty_archive():
    identity, recipient = new_identity()
    empty = RunOutputs()
    assert open_outputs(seal_outputs(empty, [recipient]), identity) == empty


def test_the_recipient_follows_from_the_identity():
    identity, recipient = new_identity()
    assert recipient_of(identity) == recipient
    assert check_recipient(recipient) == recipient


@pytest.mark.parametrize("text", ["", "age1", "age1" + "q" * 58, "ssh-ed25519 AAAA"])
def test_what_is_no_recipient_is_refused(text):
    with pytest.raises(SealingError, match="not an age recipient"):
        seal_outputs(OUTPUTS, [text])
    with pytest.raises(SealingError, match="not an age identity"):
        recipient_of(text)


def test_the_archive_is_the_same_bytes_whatever_the_order():
    assert outputs._pack(OUTPUTS) == outputs._pack(replace(OUTPUTS, files=tuple(reversed(FILES))))


def test_any_tar_reader_opens_the_archive(tmp_path: Path):
    (tmp_path / "out.tar").write_bytes(outputs._pack(OUTPUTS))
    subprocess.run(["tar", "-xf", "out.tar"], cwd=tmp_path, check=True, timeout=30)
    assert (tmp_path / "outputs" / FILES[0].path).read_bytes() == FILES[0].data
    assert (tmp_path / "outputs.salt").read_bytes() == SALT_FILE


def test_the_length_says_little_of_what_is_in_it():
    """Of the archive: an age file has a random line or two besides."""
    short, long = (
        outputs._pack(RunOutputs((OutputFile(path="a", data=b"x" * length),)))
        for length in (1, 6000)
    )
    assert len(short) == len(long)


def test_two_outputs_of_one_path_are_refused():
    _, recipient = new_identity()
    with pytest.raises(SealingError, match="same path"):
        seal_outputs(RunOutputs((FILES[0], FILES[0])), [recipient])


@pytest.mark.parametrize("position", [10, -20])
def test_a_flipped_byte_does_not_open(position):
    identity, recipient = new_identity()
    data = bytearray(seal_outputs(OUTPUTS, [recipient]))
    data[position] ^= 1
    with pytest.raises(SealingError):
        open_outputs(bytes(data), identity)


def test_truncated_outputs_do_not_open():
    identity, recipient = new_identity()
    data = seal_outputs(OUTPUTS, [recipient])
    for length in (0, 1, 50, len(data) // 2, len(data) - 1):
        with pytest.raises(SealingError):
            open_outputs(data[:length], identity)


def test_oversized_outputs_are_refused_before_decryption(monkeypatch):
    identity, recipient = new_identity()
    data = seal_outputs(OUTPUTS, [recipient])
    monkeypatch.setattr(outputs, "MAX_SEALED_BYTES", len(data) - 1)
    with pytest.raises(TooLargeError):
        open_outputs(data, identity)


def sparse_bomb() -> bytes:
    member, _ = plain("outputs/bomb", b"")
    member.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.size": str(1 << 50)}
    return archive(plain("outputs.salt", SALT_FILE), (member, b""))


def claims_more_than_there_is() -> bytes:
    data = bytearray(archive(plain("a")))
    data[124:136] = b"77777777777\0"
    data[148:156] = b"%06o\0 " % (sum(data[:148]) + 8 * 32 + sum(data[156:512]))
    return bytes(data)


def salted(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    return archive(plain("outputs.salt", SALT_FILE), *members, form=form)


HOSTILE = {
    "symbolic link": salted(special("outputs/a", tarfile.SYMTYPE)),
    "hard link": salted(special("outputs/a", tarfile.LNKTYPE)),
    "device": salted(special("outputs/a", tarfile.CHRTYPE)),
    "folder": salted(special("outputs/a", tarfile.DIRTYPE)),
    "named pipe": salted(special("outputs/a", tarfile.FIFOTYPE)),
    "contiguous file": salted(special("outputs/a", tarfile.CONTTYPE)),
    "absolute path": salted(plain("/etc/passwd")),
    "absolute path in the folder": salted(plain("outputs//etc/passwd")),
    "way out of the folder": salted(plain("outputs/../a")),
    "beside the folder": salted(plain("a")),
    "the folder's name alone": salted(plain("outputs")),
    "control character in a name": salted(plain("outputs/a\nb")),
    "one name twice": salted(plain("outputs/a"), plain("outputs/a")),
    "wrong order": salted(plain("outputs/b"), plain("outputs/a")),
    "another tar format": salted(plain("outputs/ä"), form=tarfile.GNU_FORMAT),
    "trailing bytes": outputs._pack(OUTPUTS) + b"\0",
    "bytes after the end": outputs._pack(OUTPUTS) + archive(plain("z")),
    "sparse bomb": sparse_bomb(),
    "size beyond the archive": claims_more_than_there_is(),
    "no salt": archive(plain("outputs/a")),
    "two salts": salted(plain("outputs.salt", SALT_FILE)),
    "salt last": archive(plain("outputs/a"), plain("outputs.salt", SALT_FILE)),
    "short salt": archive(plain("outputs.salt", SALT_FILE[2:])),
    "long salt": archive(plain("outputs.salt", b"00" + SALT_FILE)),
    "salt in capitals": archive(plain("outputs.salt", SALT_FILE.upper())),
    "salt without its end of line": archive(plain("outputs.salt", SALT_FILE[:-1])),
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
        outputs._unpack(outputs._pack(OUTPUTS))


def test_modes_owners_and_times_do_not_travel():
    member, data = plain("outputs/a")
    member.mtime, member.uname, member.mode = 1, "somebody", 0o4755
    with pytest.raises(SealingError, match="not have written"):
        outputs._unpack(archive(plain("outputs.salt", SALT_FILE), (member, data)))


def test_the_plainest_archive_of_all_opens():
    """What the hostile ones differ from."""
    found = outputs._unpack(archive(plain("outputs.salt", SALT_FILE), plain("outputs/a")))
    assert found == RunOutputs((OutputFile(path="a", data=b"x"),), salt=SALT)
