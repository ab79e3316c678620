"""The evidence as it travels: what NVIDIA's own tools write for the GPUs of one machine."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from cryptography import x509

from manatee.attestation._certificates import read_pem_chain
from manatee.attestation._gpu.report import GpuReport, parse_report
from manatee.errors import MalformedError
from manatee.records import parse_json

MAX_GPUS = 8
"""GPUs of one machine (HGX and DGX boards)."""

MAX_PAYLOAD_BYTES = MAX_GPUS * (16 << 10)
"""Recorded reports with their chains take 12.3 KB in this form; eight would not fit 64 KiB."""

_MAX_CHAIN = 8
_MEMBERS = frozenset({"arch", "certificate", "evidence", "nonce"})


@dataclass(frozen=True)
class GpuEvidence:
    """One GPU's report and certificates, read but not verified.

    Attributes:
        said_architecture: Lower-case; nobody signed it.
        said_nonce: Hexadecimal; nobody signed it.
        chain: Signing key's certificate first.
    """

    report: GpuReport
    chain: tuple[x509.Certificate, ...]
    said_architecture: str
    said_nonce: str


def parse_payload(data: bytes) -> tuple[GpuEvidence, ...]:
    """Read the reports of a machine's GPUs strictly, verifying nothing.

    Raises:
        MalformedError: It is not a list of 1 to `MAX_GPUS` such objects.
        TooLargeError: It has over `MAX_PAYLOAD_BYTES`.
    """
    listed = parse_json(data, max_bytes=MAX_PAYLOAD_BYTES)
    if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_GPUS:
        raise MalformedError(f"GPU evidence is a list of 1 to {MAX_GPUS} reports.")
    return tuple(_one(item) for item in listed)


def _one(item: Any) -> GpuEvidence:
    if (
        not isinstance(item, dict)
        or set(item) != _MEMBERS
        or not all(isinstance(value, str) for value in item.values())
    ):
        raise MalformedError("a GPU's evidence has arch, certificate, evidence and nonce.")
    return GpuEvidence(
        report=parse_report(_decode(item["evidence"])),
        chain=read_pem_chain(_decode(item["certificate"]), at_most=_MAX_CHAIN),
        said_architecture=item["arch"].lower(),
        said_nonce=item["nonce"].lower(),
    )


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except ValueError as error:
        raise MalformedError("a part of the GPU's evidence is not base64.") from error
