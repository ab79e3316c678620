"""The keys people hold: the researcher's age identity and the approver's signing key."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from manatee.errors import SettingsError
from manatee.keybroker import write_private
from manatee.records import Base64, Record, canonical_json, read_record, to_base64, unbase64
from manatee.sealing import new_identity


class ApproverKey(Record, frozen=True, kw_only=True):
    """An approver's Ed25519 key; the public half is what brokers and auditors are given."""

    format_version: Literal[1] = 1
    private_key: Base64
    public_key: Base64

    @property
    def raw(self) -> bytes:
        """The private key, 32 bytes."""
        return unbase64(self.private_key)


class Identity(Record, frozen=True, kw_only=True):
    """A researcher's age identity: outputs are sealed to `recipient` inside the guest."""

    format_version: Literal[1] = 1
    identity: str
    recipient: str


def new_approver_key(path: Path) -> ApproverKey:
    """Make an approver's key and write it, readable by its owner alone.

    Raises:
        ConflictError: The file exists.
    """
    private = Ed25519PrivateKey.generate()
    key = ApproverKey(
        private_key=to_base64(private.private_bytes_raw()),
        public_key=to_base64(private.public_key().public_bytes_raw()),
    )
    write_private(path, canonical_json(key))
    return key


def new_researcher_identity(path: Path) -> Identity:
    """Make a researcher's age identity and write it, readable by its owner alone.

    Raises:
        ConflictError: The file exists.
    """
    identity, recipient = new_identity()
    made = Identity(identity=identity, recipient=recipient)
    write_private(path, canonical_json(made))
    return made


def _read(path: Path, what: str, command: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"no {what} at {path}.", hint=f"Make one with `{command}`.") from error


def read_approver_key(path: Path) -> ApproverKey:
    """Read what `new_approver_key` wrote."""
    data = _read(path, "approver key", "manatee new-approver-key")
    return read_record(data, ApproverKey, what="approver key")


def read_identity(path: Path) -> Identity:
    """Read what `new_researcher_identity` wrote."""
    data = _read(path, "researcher identity", "manatee new-identity")
    return read_record(data, Identity, what="identity")
