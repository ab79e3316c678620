"""The default custody, an age identity in a file, and `custody.json`."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manatee.custody import (
    add_key,
    create_custody,
    open_custody,
    read_key_settings,
    recipient_custody,
    retire_key,
    rewrap_data_key,
    unwrap_data_key,
    wrap_data_key,
)
from manatee.custody._blob import WrappedBlob, pack_blob
from manatee.errors import (
    ConflictError,
    CustodyDeniedError,
    MalformedError,
    ManateeError,
    NotFoundError,
    SealingError,
    SettingsError,
)
from manatee.records import (
    DatasetManifest,
    FileEntry,
    dataset_version,
    digest_bytes,
    to_base64,
)

KEY = bytes(range(32))
MANIFEST = DatasetManifest(
    name="claims",
    provider="insurer",
    label="real",
    schema_digest=digest_bytes(b"schema"),
    contract_digest=digest_bytes(b"contract"),
    files=(FileEntry(path="table.parquet", sha256=digest_bytes(b"table"), size=5),),
)
replace = msgspec.structs.replace


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "broker"
    create_custody(made)
    return made


def identity_file(folder: Path) -> Path:
    (found,) = folder.glob("*.identity")
    return found


# --- data keys ----------------------------------------------------------------------------------


def test_the_publishing_machine_wraps_with_the_recipient_alone(folder: Path) -> None:
    recipient = open_custody(folder).describe().key
    publishing = recipient_custody(recipient)
    wrapped = publishing.wrap(KEY, b"context")
    assert open_custody(folder).unwrap(wrapped, b"context") == KEY
    with pytest.raises(CustodyDeniedError, match="public half"):
        publishing.unwrap(wrapped, b"context")


@pytest.mark.parametrize(
    "change",
    [
        {"label": "synthetic"},
        {"name": "patients"},
        {"provider": "bank"},
        {"files": (FileEntry(path="table.parquet", sha256=digest_bytes(b"t"), size=5),)},
        {"schema_digest": digest_bytes(b"other")},
        {"contract_digest": digest_bytes(b"other")},
    ],
)
def test_a_wrapped_key_belongs_to_its_manifest(folder: Path, change: dict[str, Any]) -> None:
    custody = open_custody(folder)
    wrapped = wrap_data_key(KEY, MANIFEST, "insurer-broker", custody)
    sealed = replace(MANIFEST, wrapped_key=wrapped)
    assert unwrap_data_key(sealed, custody) == KEY
    with pytest.raises(SealingError):
        unwrap_data_key(replace(sealed, **change), custody)


def test_a_wrapped_key_belongs_to_its_broker_and_custody(folder: Path, tmp_path: Path) -> None:
    custody, other = open_custody(folder), create_custody(tmp_path / "other")
    wrapped = wrap_data_key(KEY, MANIFEST, "insurer-broker", custody)
    for dataset, held in (
        (replace(MANIFEST, wrapped_key=replace(wrapped, broker_id="bank-broker")), custody),
        (replace(MANIFEST, wrapped_key=wrapped), other),
        (MANIFEST, custody),
    ):
        with pytest.raises(SealingError):
            unwrap_data_key(dataset, held)
    with pytest.raises(SealingError):
        rewrap_data_key(MANIFEST, custody)


def test_rewrapping_keeps_the_version_and_everything_else_makes_another(folder: Path) -> None:
    wrapped = wrap_data_key(KEY, MANIFEST, "insurer-broker", open_custody(folder))
    sealed = replace(MANIFEST, wrapped_key=wrapped)
    rotated = add_key(folder)
    moved = replace(sealed, wrapped_key=rewrap_data_key(sealed, rotated))
    assert moved.wrapped_key != sealed.wrapped_key
    assert dataset_version(moved) == dataset_version(sealed)
    assert unwrap_data_key(moved, rotated) == KEY
    others = [
        MANIFEST,
        replace(sealed, wrapped_key=replace(wrapped, broker_id="bank-broker")),
        replace(sealed, label="synthetic"),
    ]
    assert dataset_version(sealed) not in {dataset_version(other) for other in others}


# --- the identity's file ------------------------------------------------------------------------


def test_the_identity_is_its_owners_alone_and_not_in_custody_json(folder: Path) -> None:
    assert stat.S_IMODE(identity_file(folder).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert "AGE-SECRET-KEY" not in (folder / "custody.json").read_text()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_an_identity_open_to_others_is_not_used(folder: Path, mode: int) -> None:
    custody = open_custody(folder)
    wrapped = custody.wrap(KEY, b"")
    identity_file(folder).chmod(mode)
    with pytest.raises(SettingsError, match="open to others"):
        custody.unwrap(wrapped, b"")


@pytest.mark.parametrize("change", ["missing", "empty", "binary", "long", "link", "folder", "pipe"])
def test_an_identity_file_that_is_none_is_refused(folder: Path, change: str) -> None:
    custody = open_custody(folder)
    wrapped, path = custody.wrap(KEY, b""), identity_file(folder)
    text = path.read_text()
    path.unlink()
    if change == "folder":
        path.mkdir(mode=0o700)
    elif change == "link":
        (folder / "elsewhere").touch(0o600)
        (folder / "elsewhere").write_text(text)
        path.symlink_to(folder / "elsewhere")
    elif change == "pipe":
        os.mkfifo(path, 0o600)
    elif change != "missing":
        path.touch(0o600)
        path.write_bytes({"empty": b"\n", "binary": b"\xff\xfe", "long": b"A" * 5000}[change])
    with pytest.raises(SettingsError):
        custody.unwrap(wrapped, b"")


def test_the_identity_of_another_recipient_is_noticed(folder: Path, tmp_path: Path) -> None:
    create_custody(tmp_path / "other")
    custody = open_custody(folder)
    wrapped = custody.wrap(KEY, b"")
    identity_file(folder).write_text(identity_file(tmp_path / "other").read_text())
    with pytest.raises(SettingsError, match="another recipient"):
        custody.unwrap(wrapped, b"")


def test_a_damaged_identity_is_not_quoted(folder: Path) -> None:
    custody = open_custody(folder)
    wrapped = custody.wrap(KEY, b"")
    secret = identity_file(folder).read_text().strip()
    identity_file(folder).write_text(secret[:-1])
    with pytest.raises(SettingsError) as caught:
        custody.unwrap(wrapped, b"")
    assert secret[20:40] not in f"{caught.value!r} {caught.value.__cause__!r}"


@pytest.mark.parametrize("recipient", ["", "age1", "AGE1" + "Q" * 58, "ssh-ed25519 AAAA"])
def test_other_text_is_no_recipient(recipient: str) -> None:
    with pytest.raises(MalformedError):
        recipient_custody(recipient)


# --- custody.json -------------------------------------------------------------------------------


def test_a_custody_is_never_overwritten(folder: Path) -> None:
    before = (folder / "custody.json").read_bytes()
    with pytest.raises(ConflictError):
        create_custody(folder)
    assert (folder / "custody.json").read_bytes() == before


def test_only_an_older_key_that_exists_is_retired(folder: Path) -> None:
    with pytest.raises(ConflictError, match="newest"):
        retire_key(folder, open_custody(folder).describe().key_id)
    with pytest.raises(NotFoundError):
        retire_key(folder, "age-unknown")


def settings_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "custody.json").read_text())
    return found


@pytest.mark.parametrize(
    "change",
    [
        {"keys": []},
        {"format_version": 2},
        {"pin": "1234"},
        {"keys": [{"kind": "usb-stick", "id": "k"}]},
        {"keys": [{"kind": "pkcs11", "id": "k", "pin": "1234"}]},
        {"keys": ["age"]},
    ],
)
def test_custody_json_is_closed(folder: Path, change: dict[str, Any]) -> None:
    (folder / "custody.json").write_text(json.dumps(settings_of(folder) | change))
    with pytest.raises(MalformedError):
        open_custody(folder)


def test_an_age_key_goes_by_the_id_of_its_recipient(folder: Path) -> None:
    settings = settings_of(folder)
    settings["keys"][0]["id"] = "age-0000000000000000"
    (folder / "custody.json").write_text(json.dumps(settings))
    with pytest.raises(MalformedError, match="the id of that recipient"):
        open_custody(folder)


@pytest.mark.parametrize(
    "url",
    [
        "http://vault.example",
        "https://user:pass@vault.example",
        "https://vault.example/?token=x",
        "http://127.0.0.1.example",
        "ftp://127.0.0.1",
        "https://",
        "https://vault.example/#x",
    ],
)
def test_secrets_go_over_tls_or_stay_on_this_machine(tmp_path: Path, url: str) -> None:
    key = {"kind": "vault-transit", "id": "v", "url": url, "key_name": "k", "token_file": "t"}
    (tmp_path / "key.json").write_text(json.dumps(key))
    with pytest.raises(MalformedError, match="https"):
        read_key_settings(tmp_path / "key.json")
    (tmp_path / "key.json").write_text(json.dumps(key | {"url": "http://127.0.0.1:8200"}))
    assert read_key_settings(tmp_path / "key.json").id == "v"


@given(st.binary(max_size=300))
def test_hostile_settings_give_only_our_errors(tmp_path_factory: Any, data: bytes) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "custody.json").write_bytes(data)
    with pytest.raises(ManateeError):
        open_custody(folder)


@given(st.binary(max_size=600))
def test_hostile_wrapped_keys_give_only_our_errors(data: bytes) -> None:
    custody = recipient_custody("age1n3ed8rzpda2f80gs7sctx2m6fkkg7gu8k2nwpckflf78yxd6puds3nf48e")
    for text in (to_base64(data), data.decode("latin-1")):
        wrapped = wrap_data_key(KEY, MANIFEST, "b", custody)
        with pytest.raises((SealingError, MalformedError, CustodyDeniedError)):
            unwrap_data_key(
                replace(MANIFEST, wrapped_key=replace(wrapped, ciphertext=text)), custody
            )


AGE_LINES = st.sampled_from(
    [
        b"age-encryption.org/v1\n",
        b"-> X25519 AAAA\n",
        b"-> scrypt AAAAAAAAAAAAAAAAAAAAAA 30\n",
        b"-> grease\n",
        b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
        b"--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
    ]
)


@given(st.lists(AGE_LINES | st.binary(max_size=80), max_size=8))
def test_hostile_age_files_give_only_our_errors(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "age"
    custody = open_custody(folder) if folder.exists() else create_custody(folder)
    sealed = b"".join(lines) or b"x"
    blob = pack_blob(WrappedBlob("age", custody.describe().key_id, sealed))
    with pytest.raises(SealingError):
        custody.unwrap(blob, b"")
