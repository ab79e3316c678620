"""Outputs on their way out: one deterministic tar archive inside age.

The outputs lie in its folder `outputs/`; beside it `outputs.salt` opens the commitments by which
the run's statement names them. A run bundle has both under the same names.

Any tar reader opens what `age -d` prints. Ours accepts only the archive it would itself have
written: anyone who knows the recipient can make an age file, so an archive that opens may still
be hostile (links, devices, sparse files, two members of one name).
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Sequence

import pyrage

from manatee.errors import MalformedError, SealingError, TooLargeError
from manatee.records import OutputFile, RunOutputs, read_salt, salt_text, to_record

MAX_OUTPUT_FILES = 1024
"""Most members that are read; the largest output policy allows far fewer."""

MAX_SEALED_BYTES = 512 << 20
"""Most bytes of an age file that are decrypted: twice the largest class's output."""

OUTPUTS_FOLDER = "outputs/"
SALT_FILE = "outputs.salt"

_MODE = 0o644


def new_identity() -> tuple[str, str]:
    """Return a fresh age identity (secret) and its recipient (public), both as text."""
    identity = pyrage.x25519.Identity.generate()
    return str(identity), str(identity.to_public())


def recipient_of(identity: str) -> str:
    """Return the public recipient of an age identity.

    Raises:
        SealingError: Not an age X25519 identity.
    """
    return str(_identity(identity).to_public())


def check_recipient(recipient: str) -> str:
    """Return an age X25519 recipient as it is.

    Raises:
        SealingError: Not one.
    """
    _recipient(recipient)
    return recipient


def seal_outputs(outputs: RunOutputs, recipients: Sequence[str]) -> bytes:
    """Encrypt outputs and their salt to every one of the recipients.

    Args:
        outputs: With files in any order; the archive is sorted by path.
        recipients: age X25519 recipients; at least one.

    Raises:
        SealingError: No recipient, a bad one, or two files of one path.
    """
    if not recipients:
        raise SealingError("outputs need at least one recipient.")
    keys = [_recipient(text) for text in recipients]
    try:
        return bytes(pyrage.encrypt(_pack(outputs), keys))
    except pyrage.EncryptError as error:
        raise SealingError("outputs could not be encrypted.") from error


def open_outputs(data: bytes, identity: str) -> RunOutputs:
    """Decrypt what `seal_outputs` made; memory is bounded by a small multiple of its length.

    Returns:
        The outputs, sorted by path, and their salt.

    Raises:
        SealingError: Another recipient, damaged bytes, or an archive we would not have written.
        TooLargeError: More than `MAX_SEALED_BYTES`.
    """
    if len(data) > MAX_SEALED_BYTES:
        raise TooLargeError(f"sealed outputs have at most {MAX_SEALED_BYTES} bytes.")
    try:
        archive = bytes(pyrage.decrypt(data, [_identity(identity)]))
    except pyrage.DecryptError as error:
        raise SealingError(
            "sealed outputs do not open: another recipient, or damaged bytes."
        ) from error
    return _unpack(archive)


def _identity(text: str) -> pyrage.x25519.Identity:
    try:
        return pyrage.x25519.Identity.from_str(text.strip())
    except pyrage.IdentityError as error:
        raise SealingError("not an age identity.") from error


def _recipient(text: str) -> pyrage.x25519.Recipient:
    try:
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError as error:
        raise SealingError("not an age recipient.") from error


def _pack(outputs: RunOutputs) -> bytes:
    ordered = sorted(outputs.files, key=lambda file: file.path)
    if len({file.path for file in ordered}) != len(ordered):
        raise SealingError("two outputs have the same path.")
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as archive:
        _add(archive, SALT_FILE, salt_text(outputs.salt))
        for file in ordered:
            _add(archive, OUTPUTS_FOLDER + file.path, file.data)
    return sink.getvalue()


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    member.mode = _MODE
    archive.addfile(member, io.BytesIO(data))


def _unpack(data: bytes) -> RunOutputs:
    try:
        members = dict(_members(data))
        outputs = RunOutputs(
            salt=read_salt(members.pop(SALT_FILE, b"")),
            files=tuple(_file(name, content) for name, content in members.items()),
        )
        genuine = _pack(outputs) == data
    except (tarfile.TarError, ValueError, OverflowError, MalformedError) as error:
        raise SealingError("sealed outputs hold no archive of ours.") from error
    if not genuine:
        raise SealingError("sealed outputs hold an archive we would not have written.")
    return outputs


def _members(data: bytes) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        for number, member in enumerate(archive):
            if number > MAX_OUTPUT_FILES:  # the salt is one more
                raise MalformedError(f"more than {MAX_OUTPUT_FILES} outputs.")
            if member.type != tarfile.REGTYPE or member.sparse or member.size > len(data):
                raise MalformedError("a member that is not a plain file.")
            content = archive.extractfile(member)
            if content is None:
                raise MalformedError("a member without content.")
            yield member.name, content.read(member.size)


def _file(name: str, data: bytes) -> OutputFile:
    if not name.startswith(OUTPUTS_FOLDER):
        raise MalformedError("a member outside the folder of outputs.")
    path = name.removeprefix(OUTPUTS_FOLDER)
    return to_record({"path": path, "data": data}, OutputFile, what="output")
