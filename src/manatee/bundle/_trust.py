"""What a reader of run bundles trusts. Never taken from the bundle itself."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from manatee.attestation import ReferenceValues
from manatee.errors import SettingsError
from manatee.ledger import LogTrust
from manatee.records import Base64, Record, Tier, canonical_json, read_record


class TrustAnchors(Record, frozen=True, kw_only=True):
    """The keys and measurements a reader vouches for; what is not listed is not trusted.

    Attributes:
        minimum_tier: The weakest assurance tier the reader accepts.
        reference_values: Runtimes, and root certificates per evidence kind.
        approvers: Provider to the Ed25519 public keys (base64) of its approvers.
        run_log: The transparency log that runs must be in; None: the reader asks for none.
        broker_logs: Key broker to the log of its decisions; a broker that is not named is not
            asked for proof.
    """

    format_version: Literal[1] = 1
    minimum_tier: Tier = Tier.HARDWARE
    reference_values: ReferenceValues
    approvers: dict[str, tuple[Base64, ...]]
    run_log: LogTrust | None = None
    broker_logs: dict[str, LogTrust] = msgspec.field(default_factory=dict)


NOTHING_TRUSTED = TrustAnchors(
    reference_values=ReferenceValues(runtime_digests=(), roots={}), approvers={}
)


def read_trust(path: Path) -> TrustAnchors:
    """Read a trust file.

    Raises:
        SettingsError: It cannot be read.
        MalformedError: It is not one.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"the trust file {path} cannot be read.") from error
    return read_record(data, TrustAnchors, what="trust file")


def write_trust(path: Path, anchors: TrustAnchors) -> None:
    """Write a trust file, replacing the one there."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_bytes(canonical_json(anchors))
    temporary.replace(path)
