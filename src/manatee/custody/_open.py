"""From `custody.json` to a custody: reading, writing and opening; adding and retiring keys."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from manatee.custody._age import AgeKey, key_id_of, new_identity
from manatee.custody._interface import KeyEncryptionKey
from manatee.custody._ring import HeldKey, KeyRing
from manatee.custody._secret_file import write_secret
from manatee.custody._settings import (
    AgeSettings,
    AwsKmsSettings,
    AzureKeyVaultSettings,
    CustodyFile,
    GcpKmsSettings,
    KeySettings,
    Pkcs11Settings,
)
from manatee.errors import ConflictError, MalformedError, NotFoundError, SettingsError
from manatee.records import canonical_json, parse_json, read_record, to_record

FILE = "custody.json"
_MAX_BYTES = 1 << 18


def open_custody(folder: Path) -> KeyRing:
    """Open the custody of a key broker. No network, no secret read: that waits for the first use.

    Raises:
        SettingsError: There is none, or a cloud's library is not installed.
        MalformedError: `custody.json` is something else.
    """
    return ring_of(read_custody_file(folder), folder)


def recipient_custody(recipient: str) -> KeyRing:
    """Return a custody that only wraps, to an age recipient.

    Raises:
        MalformedError: Not an age X25519 recipient.
    """
    key = AgeKey(recipient, identity_file=None)
    return KeyRing([HeldKey(key_id_of(recipient), "age", key)])


def ring_of(file: CustodyFile, folder: Path) -> KeyRing:
    """Return the custody that `custody.json` describes; paths are relative to the folder."""
    return KeyRing(
        HeldKey(key.id, _kind(key), _key_of(key, folder), retired=key.retired) for key in file.keys
    )


def _kind(settings: KeySettings) -> str:
    return str(settings.__struct_config__.tag)


def _key_of(settings: KeySettings, folder: Path) -> KeyEncryptionKey:
    # each place's module loads its library when the key is made, not before
    if isinstance(settings, AgeSettings):
        if settings.id != key_id_of(settings.recipient):
            raise MalformedError(
                f"custody.json: the id of that recipient is {key_id_of(settings.recipient)!r}."
            )
        file = settings.identity_file
        return AgeKey(settings.recipient, identity_file=None if file is None else folder / file)
    if isinstance(settings, Pkcs11Settings):
        from manatee.custody._pkcs11 import Pkcs11Key

        return Pkcs11Key(settings, pin_file=folder / settings.pin_file)
    if isinstance(settings, AwsKmsSettings):
        from manatee.custody._aws_kms import AwsKmsKey

        return AwsKmsKey(settings)
    if isinstance(settings, GcpKmsSettings):
        from manatee.custody._gcp_kms import GcpKmsKey

        return GcpKmsKey(settings, folder=folder)
    if isinstance(settings, AzureKeyVaultSettings):
        from manatee.custody._azure_key_vault import AzureKeyVaultKey

        return AzureKeyVaultKey(settings, folder=folder)
    from manatee.custody._vault_transit import VaultTransitKey

    return VaultTransitKey(settings, folder=folder)


def read_custody_file(folder: Path) -> CustodyFile:
    """Read `custody.json`. Raises as `open_custody`."""
    try:
        with (folder / FILE).open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError(
            f"no key custody in {folder}.", hint="Make one with `manatee custody init`."
        ) from error
    return read_record(data, CustodyFile, what=FILE, max_bytes=_MAX_BYTES)


def read_key_settings(path: Path) -> KeySettings:
    """Read the settings of one key, written as in `custody.json`.

    Raises:
        SettingsError: There is no such file.
        MalformedError: It holds something else.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"no settings of a key at {path}.") from error
    value = parse_json(data, max_bytes=_MAX_BYTES)
    whole = {"format_version": 1, "keys": [value]}
    return to_record(whole, CustodyFile, what=path.name).keys[0]


def generate_key(settings: KeySettings, folder: Path) -> None:
    """Make a key in its PKCS#11 token; the other places have tools of their own for that.

    Raises:
        SettingsError: The settings are another place's.
        ConflictError: The token holds a key of that label.
    """
    if not isinstance(settings, Pkcs11Settings):
        raise SettingsError("only keys in a PKCS#11 token are made here.")
    from manatee.custody._pkcs11 import Pkcs11Key

    Pkcs11Key(settings, pin_file=folder / settings.pin_file).generate()


def new_age_settings(folder: Path) -> AgeSettings:
    """Make an age identity in the folder, readable by its owner alone, and return its settings."""
    identity, recipient = new_identity()
    key_id = key_id_of(recipient)
    name = f"{key_id}.identity"
    write_secret(folder / name, identity, what="age identity")
    return AgeSettings(id=key_id, recipient=recipient, identity_file=name)


def create_custody(folder: Path, key: KeySettings | None = None) -> KeyRing:
    """Write `custody.json` with one key: the one given, or a fresh age identity.

    Raises:
        ConflictError: The folder holds a custody already.
    """
    if (folder / FILE).exists():
        raise ConflictError(f"{folder} holds a key custody already; it is never overwritten.")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = CustodyFile(keys=(key or new_age_settings(folder),))
    ring = ring_of(file, folder)
    _write(folder, file)
    return ring


def add_key(folder: Path, key: KeySettings | None = None) -> KeyRing:
    """Make a key the newest: the one given, or a fresh age identity. Older ones still unwrap.

    Raises:
        SettingsError: A key has that id already.
    """
    file = read_custody_file(folder)
    added = msgspec.structs.replace(file, keys=(*file.keys, key or new_age_settings(folder)))
    ring = ring_of(added, folder)
    _write(folder, added)
    return ring


def retire_key(folder: Path, key_id: str, *, retired: bool = True) -> KeyRing:
    """Take a key out of use, or back into it; the key itself is not deleted.

    Raises:
        NotFoundError: No such key.
        ConflictError: It is the newest, which new data sets are wrapped under.
    """
    file = read_custody_file(folder)
    if key_id not in {key.id for key in file.keys}:
        raise NotFoundError(f"this custody holds no key {key_id!r}.")
    if retired and file.keys[-1].id == key_id:
        raise ConflictError(
            "the newest key cannot be retired.", hint="Add another with `manatee custody rotate`."
        )
    keys = tuple(
        msgspec.structs.replace(key, retired=retired) if key.id == key_id else key
        for key in file.keys
    )
    changed = msgspec.structs.replace(file, keys=keys)
    _write(folder, changed)
    return ring_of(changed, folder)


def _write(folder: Path, file: CustodyFile) -> None:
    data = canonical_json(file)
    if read_record(data, CustodyFile, what=FILE, max_bytes=_MAX_BYTES) != file:
        raise MalformedError("this custody cannot be written and read again.")
    temporary = folder / f".{FILE}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(folder / FILE)
