"""A broker's folder on disk: its key, policy and reference values, and its database."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from manatee._clock import Clock
from manatee.attestation import ReferenceValues
from manatee.errors import ConflictError, MalformedError, SettingsError
from manatee.keybroker._broker import BrokerKeys, KeyBroker, Log
from manatee.keybroker._store import BrokerStore
from manatee.policy import ReleasePolicy
from manatee.records import Base64, Record, canonical_json, read_record, to_base64, unbase64
from manatee.records._base import Name
from manatee.sealing import new_session_keys, public_of


class _KeyFile(Record, frozen=True, kw_only=True):
    format_version: Literal[1] = 1
    broker_id: Name
    private_key: Base64


def write_private(path: Path, data: bytes) -> None:
    """Write a file only its owner can read, whole or not at all, and never over another.

    Raises:
        ConflictError: The file exists.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            os.fsync(stream.fileno())
        os.link(temporary, path)
    except FileExistsError as error:
        raise ConflictError(f"{path} exists; it is never overwritten.") from error
    finally:
        temporary.unlink(missing_ok=True)


def create_broker(folder: Path, broker_id: str) -> bytes:
    """Make a broker's key pair.

    Effects: writes `broker.json` into the folder, readable by its owner alone.

    Returns:
        The public key, raw X25519, to which data keys are wrapped.

    Raises:
        ConflictError: The folder holds a broker already.
    """
    private, public = new_session_keys()
    key_file = _KeyFile(broker_id=broker_id, private_key=to_base64(private))
    write_private(folder / "broker.json", canonical_json(key_file))
    return public


def read_broker_keys(folder: Path) -> BrokerKeys:
    """Read what `create_broker` wrote.

    Raises:
        SettingsError: There is none.
        MalformedError: The file is something else.
    """
    try:
        data = (folder / "broker.json").read_bytes()
    except OSError as error:
        raise SettingsError(
            f"no key broker in {folder}.", hint="Make one with `manatee keybroker init`."
        ) from error
    key_file = read_record(data, _KeyFile, what="broker.json")
    private_key = unbase64(key_file.private_key)
    if len(private_key) != 32:
        raise MalformedError("broker.json: the private key must be 32 bytes of X25519.")
    return BrokerKeys(key_file.broker_id, private_key)


def broker_public_key(folder: Path) -> bytes:
    """Return the raw public key of the broker in a folder. Raises as `read_broker_keys`."""
    return public_of(read_broker_keys(folder).private_key)


def write_policy(folder: Path, policy: ReleasePolicy, reference_values: ReferenceValues) -> None:
    """Set the broker's policy and reference values; a running broker takes them at its start."""
    for name, record in (("policy.json", policy), ("reference-values.json", reference_values)):
        temporary = folder / f".{name}.{os.getpid()}"
        temporary.write_bytes(canonical_json(record))
        temporary.replace(folder / name)


def open_broker(
    folder: Path, *, clock: Clock, log: Log, insecure_settings: tuple[str, ...] = ()
) -> KeyBroker:
    """Open the broker in a folder.

    Raises:
        SettingsError: Its key, policy or reference values are missing.
        MalformedError: One of them is something else; nothing is assumed in its place.
    """
    keys = read_broker_keys(folder)
    try:
        policy = (folder / "policy.json").read_bytes()
        references = (folder / "reference-values.json").read_bytes()
    except OSError as error:
        raise SettingsError(
            f"the key broker in {folder} has no policy.",
            hint="Without one it releases nothing; write policy.json and reference-values.json.",
        ) from error
    return KeyBroker(
        keys,
        policy=read_record(policy, ReleasePolicy, what="policy.json"),
        reference_values=read_record(references, ReferenceValues, what="reference-values.json"),
        store=BrokerStore(folder / "broker.db"),
        clock=clock,
        log=log,
        insecure_settings=insecure_settings,
    )
