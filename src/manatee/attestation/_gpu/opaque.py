"""What a GPU says of itself in its report: the opaque data, type, length and value each.

The layout is NVIDIA's (open attestation SDK, `gpu_opaque_data_parser.hpp`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from manatee.attestation._cursor import Cursor
from manatee.errors import MalformedError

_DRIVER_VERSION = 3
_VBIOS_VERSION = 6
_NVDEC0_STATUS = 11
_CHIP_SKU = 15
_PROJECT = 17
_PROJECT_SKU = 18
_FWID = 20
_PROTECTED_PCIE_STATUS = 21
_VERSION = 34
_CHIP_INFO = 35
_FEATURE = 36

_KNOWN = frozenset(range(1, 26)) | frozenset(range(32, 37))
_NEWEST_VERSION = 1
"""Opaque data of a later version may mean something else by its fields."""

_ON, _OFF = b"\xaa", b"\x55"
_VBIOS_BYTES = 8
_FWID_BYTES = 48
_TEXT = re.compile(rb"[A-Za-z0-9.]{1,32}")


class GpuMode(Enum):
    """How GPUs of a machine are put together.

    Attributes:
        MULTIPLE: Several, with encrypted links between them.
        SINGLE: One, alone.
        PROTECTED_PCIE: Several; what goes between them is in the clear for their switches.
        UNSTATED: The GPU's firmware is too old to say.
    """

    MULTIPLE = "multiple"
    SINGLE = "single"
    PROTECTED_PCIE = "protected-pcie"
    UNSTATED = "unstated"


_MODES = {0: GpuMode.MULTIPLE, 1: GpuMode.SINGLE, 2: GpuMode.PROTECTED_PCIE}


@dataclass(frozen=True)
class OpaqueData:
    """The fields that an appraisal needs.

    Attributes:
        driver_version: Such as `550.144.03`.
        vbios_version: Such as `96.00.5E.00.01`.
        fwid: Digest of the firmware that holds the signing key, SHA-384; empty if not said.
        nvdec0_enabled: Whether the first video decoder, which measurement 35 is of, is there.
        project: Board project, SKU and chip SKU, which name the VBIOS's reference manifest.
        chip: The chip, such as `GB100`; empty if not said.
    """

    driver_version: str
    vbios_version: str
    fwid: bytes
    nvdec0_enabled: bool
    project: tuple[str, str, str]
    chip: str
    mode: GpuMode


def parse_opaque_data(data: bytes) -> OpaqueData:
    """Read opaque data strictly.

    Raises:
        MalformedError: A field is unknown, stands twice, is missing, or has another form.
    """
    cursor = Cursor(data, "opaque data")
    fields: dict[int, bytes] = {}
    while cursor.left:
        kind = cursor.number(2)
        if kind not in _KNOWN or kind in fields:
            raise MalformedError("a field of the opaque data is unknown, or stands twice.")
        fields[kind] = cursor.sized(2, big=False, at_most=len(data))
    fwid = fields.get(_FWID, b"")
    if fwid and len(fwid) != _FWID_BYTES:
        raise MalformedError("the firmware's identifier is SHA-384.")
    return OpaqueData(
        driver_version=_text(fields, _DRIVER_VERSION),
        vbios_version=_vbios_version(fields.get(_VBIOS_VERSION, b"")),
        fwid=fwid,
        nvdec0_enabled=_switched_on(fields.get(_NVDEC0_STATUS)),
        project=(
            _text(fields, _PROJECT),
            _text(fields, _PROJECT_SKU),
            _text(fields, _CHIP_SKU),
        ),
        chip=_text(fields, _CHIP_INFO) if _CHIP_INFO in fields else "",
        mode=_mode(fields),
    )


def _text(fields: Mapping[int, bytes], kind: int) -> str:
    """Return a field that is text, without the zeros that fill it up."""
    value = fields.get(kind, b"").rstrip(b"\0")
    if not _TEXT.fullmatch(value):
        raise MalformedError("a text in the opaque data is missing, or is no plain text.")
    return value.decode("ascii")


def _vbios_version(value: bytes) -> str:
    """Return a VBIOS version as people write it: four bytes from the fourth down, then the fifth.

    The GPU gives two little-endian numbers of four bytes: the version, and its OEM part.
    """
    if len(value) != _VBIOS_BYTES:
        raise MalformedError("the VBIOS version is two numbers of four bytes.")
    return ".".join(f"{byte:02X}" for byte in (*value[3::-1], value[4]))


def _switched_on(value: bytes | None) -> bool:
    if value not in (_ON, _OFF):
        raise MalformedError("a switch in the opaque data is neither on nor off.")
    return value == _ON


def _mode(fields: Mapping[int, bytes]) -> GpuMode:
    version = int.from_bytes(fields.get(_VERSION, b""), "little")
    if version > _NEWEST_VERSION:
        raise MalformedError("the opaque data is of a version that is not known here.")
    said = GpuMode.UNSTATED
    if _FEATURE in fields:
        said = _MODES.get(int.from_bytes(fields[_FEATURE], "little"), said)
        if said is GpuMode.UNSTATED:
            raise MalformedError("the GPU says that it is in an unknown mode.")
    elif version:
        raise MalformedError("the GPU does not say what mode it is in.")
    if _PROTECTED_PCIE_STATUS in fields and _switched_on(fields[_PROTECTED_PCIE_STATUS]):
        return GpuMode.PROTECTED_PCIE
    return said
