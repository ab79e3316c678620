"""Outputs in a statement: bound byte for byte, and not to be guessed."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import msgspec
import pytest

from manatee.errors import MalformedError
from manatee.records import (
    OutputEntry,
    OutputFile,
    RunOutputs,
    canonical_json,
    commitment_to,
    read_salt,
    salt_text,
)

SALT = bytes(range(32))


def test_who_knows_the_output_but_not_the_salt_proves_nothing() -> None:
    """One small number: there are few guesses to try."""
    files = (OutputFile(path="count.txt", data=b"42"),)
    first, second = (RunOutputs(files).entries()[0].commitment for _ in range(2))
    assert first != second
    plain = hashlib.sha256(b"42").hexdigest()
    assert plain not in first
    assert hashlib.sha256(b"count.txt\x0042").hexdigest() not in first


def test_an_entry_says_neither_size_nor_whether_two_outputs_are_the_same() -> None:
    one, other = RunOutputs(
        (OutputFile(path="a", data=b"42"), OutputFile(path="b", data=b"42"))
    ).entries()
    assert one.commitment != other.commitment
    assert msgspec.to_builtins(one).keys() == {"path", "commitment"}


@pytest.mark.parametrize(
    ("salt", "path", "data"),
    [
        (bytes(32), "a", b"42"),
        (SALT, "b", b"42"),
        (SALT, "a", b"43"),
        (SALT, "a", b"42\0"),
        (SALT, "a", b""),
    ],
)
def test_another_salt_name_or_byte_is_another_commitment(
    salt: bytes, path: str, data: bytes
) -> None:
    assert commitment_to(salt, path, data) != commitment_to(SALT, "a", b"42")


def test_openssl_opens_a_commitment(tmp_path: Path) -> None:
    (tmp_path / "message").write_bytes(b"count.txt\x0042")
    key = salt_text(SALT).decode().strip()
    command = ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{key}", "message"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, timeout=30)
    found = said.stdout.decode().split()[-1]
    assert commitment_to(SALT, "count.txt", b"42") == f"hmac-sha256:{found}"


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_salt_has_one_length(length: int) -> None:
    """HMAC pads short keys with zero bytes: two salts would open one commitment."""
    with pytest.raises(MalformedError, match="32 bytes"):
        commitment_to(bytes(length), "a", b"")


def test_a_salt_comes_back_from_its_text() -> None:
    assert read_salt(salt_text(SALT)) == SALT


@pytest.mark.parametrize(
    "text",
    [b"", b"\n", b"00" * 32, b"00" * 31 + b"\n", b"AA" * 32 + b"\n", b"00" * 32 + b"\n\n"],
)
def test_any_other_text_is_no_salt(text: bytes) -> None:
    with pytest.raises(MalformedError, match="64 lower-case"):
        read_salt(text)


def test_a_salt_is_in_no_representation_and_no_statement() -> None:
    outputs = RunOutputs((OutputFile(path="a", data=b"42"),), salt=SALT)
    assert SALT.hex() not in repr(outputs)
    assert repr(SALT) not in repr(outputs)
    assert SALT.hex().encode() not in canonical_json(outputs.entries())


def test_a_plain_digest_is_no_commitment() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"path": "a", "commitment": "sha256:" + "0" * 64}, OutputEntry)
