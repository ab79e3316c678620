"""What a GPU's boot ROM certified of the firmware it started (TCG DICE Attestation Architecture).

The certificate of the signing key carries it in one of two forms. Hopper: a `CompositeDeviceID`
(Microsoft RIoT, "Device Identity with DICE and RIoT", appendix A) under the identifier
2.23.133.5.4.1. Blackwell: `DiceTcbInfo` (TCG, version 1.1, section 6.1.1) under 2.23.133.5.4.1.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509

from manatee.attestation._cursor import Cursor
from manatee.errors import AppraisalRefusedError, MalformedError

COMPOSITE = x509.ObjectIdentifier("2.23.133.5.4.1")
TCB_INFO = x509.ObjectIdentifier("2.23.133.5.4.1.1")

_MAX_EXTENSION_BYTES = 4096
_SHA384 = bytes.fromhex("0609608648016503040202")
_DIGEST_BYTES = 48

_SEQUENCE, _INTEGER, _OBJECT, _OCTETS = 0x30, 0x02, 0x06, 0x04
_FWIDS, _FLAGS = 0xA6, 0x87
_KNOWN_MEMBERS = frozenset({*range(0x80, 0x86), _FWIDS, _FLAGS, *range(0x88, 0x8B), 0xAB})

_NOT_SECURE, _RECOVERY, _DEBUG = 0x40, 0x20, 0x10
"""Bits 1, 2 and 3 of the operational flags, the first bit of the first byte being bit 0."""


@dataclass(frozen=True)
class Firmware:
    """What was certified.

    Attributes:
        identifier: SHA-384 of the firmware.
        secure: Whether nothing says that it is insecure, in recovery or being debugged. Hopper's
            form cannot say.
    """

    identifier: bytes
    secure: bool


def certified_firmware(certificate: x509.Certificate) -> Firmware:
    """Read the extension of a signing key's certificate.

    Raises:
        AppraisalRefusedError: There is none, or there are both.
        MalformedError: It is not of its form.
    """
    found = {
        item.oid: item.value.public_bytes()
        for item in certificate.extensions
        if item.oid in (COMPOSITE, TCB_INFO)
    }
    if len(found) != 1:
        raise AppraisalRefusedError(
            "the signing key's certificate does not name its firmware exactly once."
        )
    if COMPOSITE in found:
        return Firmware(_composite(found[COMPOSITE]), secure=True)
    return _tcb_info(found[TCB_INFO])


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Walk over DER elements one after another: tag and content, shortest lengths only."""
    cursor = Cursor(data, "firmware identifier")
    while cursor.left:
        tag = cursor.number(1)
        length = cursor.number(1)
        if length >= 0x80:
            size = length & 0x7F
            if not 1 <= size <= 2:
                raise MalformedError("the firmware identifier has a length that is not DER.")
            length = cursor.number(size, big=True)
            if length < 0x80 or (size == 2 and length < 0x100):
                raise MalformedError("the firmware identifier has a length that is not DER.")
        yield tag, cursor.take(length)


def _sequence(data: bytes) -> list[tuple[int, bytes]]:
    """Return the elements of the one sequence that data is."""
    if len(data) > _MAX_EXTENSION_BYTES:
        raise MalformedError("the firmware identifier is too long.")
    outer = list(_elements(data))
    if len(outer) != 1 or outer[0][0] != _SEQUENCE:
        raise MalformedError("the firmware identifier is one sequence.")
    return list(_elements(outer[0][1]))


def _digest(members: list[tuple[int, bytes]]) -> bytes:
    """Return the digest of `FWID ::= SEQUENCE { hashAlg, digest }`, which must be SHA-384."""
    tags = [tag for tag, _ in members]
    if (
        tags != [_OBJECT, _OCTETS]
        or members[0][1] != _SHA384[2:]
        or len(members[1][1]) != _DIGEST_BYTES
    ):
        raise MalformedError("the firmware's identifier is a SHA-384 digest.")
    return members[1][1]


def _composite(data: bytes) -> bytes:
    """Read `CompositeDeviceID ::= SEQUENCE { version, deviceID, fwid }`."""
    members = _sequence(data)
    if [tag for tag, _ in members] != [_INTEGER, _SEQUENCE, _SEQUENCE] or members[0][1] != b"\1":
        raise MalformedError("the composite device identity is not of version 1.")
    return _digest(list(_elements(members[2][1])))


def _tcb_info(data: bytes) -> Firmware:
    """Read `DiceTcbInfo`: members by tag, each at most once; the first firmware counts."""
    pairs = _sequence(data)
    members = dict(pairs)
    if len(members) != len(pairs) or not set(members) <= _KNOWN_MEMBERS or _FWIDS not in members:
        raise MalformedError("the TCB information lacks the firmware, or has unknown members.")
    listed = list(_elements(members[_FWIDS]))
    if not listed or any(tag != _SEQUENCE for tag, _ in listed):
        raise MalformedError("the TCB information names no firmware.")
    firmwares = [_digest(list(_elements(content))) for _, content in listed]
    flags = members.get(_FLAGS, b"\0\0")
    if len(flags) < 2 or flags[0] > 7:
        raise MalformedError("the operational flags are not a bit string.")
    return Firmware(firmwares[0], secure=not flags[1] & (_NOT_SECURE | _RECOVERY | _DEBUG))
