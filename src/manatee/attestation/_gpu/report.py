"""A GPU's measurement report: an SPDM request and the signed answer to it (DMTF DSP0274 1.1).

GET_MEASUREMENTS (section 10.11.1) and MEASUREMENTS (section 10.11.2) follow one another; the
signature at the end is over all bytes before it. All integers are little-endian.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from manatee.attestation._cursor import Cursor
from manatee.attestation._gpu.opaque import OpaqueData, parse_opaque_data
from manatee.errors import MalformedError

MAX_REPORT_BYTES = 32 << 10
NONCE_BYTES = 32
SIGNATURE_BYTES = 96
"""ECDSA over P-384: r and s, big-endian, 48 bytes each."""

_GET_ALL_SIGNED = bytes((0x11, 0xE0, 0x01, 0xFF))
"""Version 1.1, GET_MEASUREMENTS, signature wanted, all measurements."""

_MEASUREMENTS = bytes((0x11, 0x60, 0x00, 0x00))
"""Version 1.1, MEASUREMENTS, no count, slot 0."""

_SLOT = 0
_DMTF = 1
"""Measurement specification: DMTF's own."""

_MAX_OPAQUE_BYTES = 1024
"""OpaqueLength may not be over this (DSP0274 1.1, table 44)."""


@dataclass(frozen=True)
class Measurement:
    """One block: the DMTF value type (bit 7: raw, not a digest) and the value."""

    type: int
    value: bytes

    @property
    def digest(self) -> bool:
        """Whether the value is a digest."""
        return self.type < 0x80


@dataclass(frozen=True)
class GpuReport:
    """A report, read but not verified.

    Attributes:
        nonce: The requester's, 32 bytes: the only one that can carry a binding.
        responder_nonce: The GPU's own.
        measurements: Block index, from 1, to its value.
        signed: What the signature is over.
        signature: r and s.
    """

    nonce: bytes
    responder_nonce: bytes
    measurements: dict[int, Measurement]
    opaque: OpaqueData
    signed: bytes
    signature: bytes


def parse_report(data: bytes) -> GpuReport:
    """Read a report strictly, verifying nothing.

    Raises:
        MalformedError: It is not one: another message or version, not all measurements, a length
            past its end, or bytes left over.
    """
    if len(data) > MAX_REPORT_BYTES:
        raise MalformedError(f"a GPU's report has at most {MAX_REPORT_BYTES} bytes.")
    cursor = Cursor(data, "GPU report")
    if cursor.take(len(_GET_ALL_SIGNED)) != _GET_ALL_SIGNED:
        raise MalformedError("a GPU's report begins with a request for all measurements, signed.")
    nonce = cursor.take(NONCE_BYTES)
    if cursor.number(1) != _SLOT:
        raise MalformedError("a GPU's report is by the certificate chain in slot 0.")
    if cursor.take(len(_MEASUREMENTS)) != _MEASUREMENTS:
        raise MalformedError("a GPU's report holds measurements after the request.")
    count = cursor.number(1)
    record = cursor.sized(3, big=False, at_most=MAX_REPORT_BYTES)
    responder_nonce = cursor.take(NONCE_BYTES)
    opaque = cursor.sized(2, big=False, at_most=_MAX_OPAQUE_BYTES)
    signed = data[: cursor.position]
    signature = cursor.take(SIGNATURE_BYTES)
    cursor.end()
    return GpuReport(
        nonce=nonce,
        responder_nonce=responder_nonce,
        measurements=_measurements(record, count),
        opaque=parse_opaque_data(opaque),
        signed=signed,
        signature=signature,
    )


def _measurements(record: bytes, count: int) -> dict[int, Measurement]:
    """Read measurement blocks (DSP0274 1.1, tables 46 and 47): in order, each index once."""
    cursor = Cursor(record, "measurement record")
    found: dict[int, Measurement] = {}
    previous = 0
    for _ in range(count):
        index = cursor.number(1)
        if index <= previous:
            raise MalformedError("measurement blocks are out of order, or one stands twice.")
        previous = index
        if cursor.number(1) != _DMTF:
            raise MalformedError("a measurement block is not of DMTF's form.")
        block = Cursor(cursor.sized(2, big=False, at_most=len(record)), "measurement block")
        kind = block.number(1)
        value = block.sized(2, big=False, at_most=len(record))
        block.end()
        found[index] = Measurement(kind, value)
    cursor.end()
    if not found:
        raise MalformedError("a GPU's report has at least one measurement.")
    return found


def report_signed_by(report: GpuReport, key: object) -> bool:
    """Whether a report is signed by a public key, ECDSA over P-384 with SHA-384."""
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        return False
    half = SIGNATURE_BYTES // 2
    r, s = (
        int.from_bytes(part, "big") for part in (report.signature[:half], report.signature[half:])
    )
    try:
        key.verify(encode_dss_signature(r, s), report.signed, ec.ECDSA(hashes.SHA384()))
    except InvalidSignature:
        return False
    return True
