"""Evidence of kind `tpm2`: a quote, the registers it covers, and the events that led to them."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

import msgspec

from manatee.errors import MalformedError
from manatee.records import (
    MAX_EVIDENCE_BYTES,
    Base64,
    Digest,
    DigestText,
    Record,
    canonical_json,
    raw_digest,
    read_record,
)

MAX_EVENTS = 64
HexDigest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]

RUNTIME_PCR = 8
JOB_PCR = 9
"""Registers that the guest's firmware extends before the guest starts; 8 to 15 cannot be set back
while a machine runs."""


class Event(Record, frozen=True, kw_only=True):
    """One measurement: what was hashed into which register."""

    pcr: Annotated[int, msgspec.Meta(ge=0, le=15)]
    kind: Literal["runtime", "job"]
    digest: DigestText


class PcrValue(Record, frozen=True, kw_only=True):
    """A register of the SHA-256 bank."""

    pcr: Annotated[int, msgspec.Meta(ge=0, le=23)]
    value: HexDigest


class TpmPayload(Record, frozen=True, kw_only=True):
    """What an attester sends.

    Attributes:
        attest: TPMS_ATTEST, as signed.
        signature: TPMT_SIGNATURE over it.
        ak_public: TPMT_PUBLIC of the attestation key.
        ek_public: TPMT_PUBLIC of the endorsement key, or empty; needed only where the relying
            party activated the attestation key itself.
        pcrs: The quoted registers, in rising order.
        events: What was measured into them since the TPM started, in order.
    """

    format_version: Literal[1] = 1
    attest: Base64
    signature: Base64
    ak_public: Base64
    ek_public: Base64 = ""
    pcrs: Annotated[tuple[PcrValue, ...], msgspec.Meta(min_length=1, max_length=24)]
    events: Annotated[tuple[Event, ...], msgspec.Meta(max_length=MAX_EVENTS)] = ()


def read_payload(data: bytes) -> TpmPayload:
    """Read a payload strictly.

    Raises:
        MalformedError, TooLargeError: It is not one, or names a register twice.
    """
    payload = read_record(data, TpmPayload, what="TPM evidence", max_bytes=MAX_EVIDENCE_BYTES)
    if canonical_json(payload) != data:
        raise MalformedError("TPM evidence is not in canonical JSON.")
    indices = [item.pcr for item in payload.pcrs]
    if indices != sorted(set(indices)):
        raise MalformedError("TPM evidence must list its registers once each, in rising order.")
    return payload


def replay(events: tuple[Event, ...]) -> dict[int, bytes]:
    """Return the registers that a TPM has after these events, from zero."""
    registers: dict[int, bytes] = {}
    for event in events:
        before = registers.get(event.pcr, bytes(32))
        registers[event.pcr] = hashlib.sha256(before + raw_digest(event.digest)).digest()
    return registers


def measured(events: tuple[Event, ...], kind: str, pcr: int) -> Digest | None:
    """Return what was measured as `kind`: exactly one event, in its own register; else None."""
    found = [event for event in events if event.kind == kind or event.pcr == pcr]
    if [(event.kind, event.pcr) for event in found] != [(kind, pcr)]:
        return None
    return Digest(found[0].digest)


def pcr_digest(pcrs: tuple[PcrValue, ...], hash_name: str) -> bytes:
    """Return the digest over registers that a quote carries."""
    return hashlib.new(hash_name, b"".join(bytes.fromhex(item.value) for item in pcrs)).digest()
