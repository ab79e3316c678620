"""A strict reader of PNG (W3C PNG, third edition): a picture, and not one byte more.

Pixels themselves can carry data; no check here claims otherwise.
"""

import re
import struct
import zlib
from collections.abc import Iterator

from manatee.errors import MalformedError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS = {0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}
_PICTURE_CHUNKS = {b"PLTE": 768, b"tRNS": 256, b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9}
"""Chunks that describe the picture, with their largest length in bytes."""

_SOFTWARE = re.compile(
    rb"Software\x00Matplotlib version ?\d{1,2}\.\d{1,3}\.\d{1,3}, https://matplotlib\.org/"
)
"""The one text that may stay: what matplotlib writes by itself."""

_MAX_PIXEL_BYTES = 256 << 20


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    if not data.startswith(_SIGNATURE):
        raise MalformedError("is not a PNG")
    position = len(_SIGNATURE)
    while position < len(data):
        if position + 12 > len(data):
            raise MalformedError("has bytes behind the picture")
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            raise MalformedError("is cut short")
        content = data[position + 8 : end - 4]
        if struct.unpack_from(">I", data, end - 4)[0] != zlib.crc32(kind + content):
            raise MalformedError("has a wrong checksum")
        yield kind, content
        position = end
        if kind == b"IEND":
            break
    if position != len(data):
        raise MalformedError("has bytes behind the picture")


def _pixel_bytes(header: bytes) -> int:
    if len(header) != 13:
        raise MalformedError("has a wrong header")
    width, height, depth, color, compression, filtering, interlace = struct.unpack(
        ">IIBBBBB", header
    )
    if depth not in _DEPTHS.get(color, set()) or compression or filtering or interlace:
        raise MalformedError("is not a plain PNG without interlacing")
    row = 1 + (width * _CHANNELS[color] * depth + 7) // 8
    if not 0 < width * height or row * height > _MAX_PIXEL_BYTES:
        raise MalformedError("is empty or too large")
    return int(row * height)


def _check_pixels(compressed: bytes, expected: int) -> None:
    decoder = zlib.decompressobj()
    size = 0
    try:
        pending = compressed
        while pending and not decoder.eof:
            size += len(decoder.decompress(pending, 1 << 20))
            pending = decoder.unconsumed_tail
    except zlib.error as error:
        raise MalformedError("has damaged pixels") from error
    if size != expected or not decoder.eof or decoder.unused_data or decoder.unconsumed_tail:
        raise MalformedError("has more or fewer pixels than it says")


def _check_png(data: bytes) -> None:
    pixels = bytearray()
    expected = 0
    seen: list[bytes] = []
    for kind, content in _chunks(data):
        if (kind == b"IHDR") != (not seen):
            raise MalformedError("has its header in the wrong place")
        if kind == b"IHDR":
            expected = _pixel_bytes(content)
        elif kind == b"IDAT":
            if b"IDAT" in seen and seen[-1] != b"IDAT":
                raise MalformedError("has chunks between its pixels")
            pixels += content
        elif kind == b"tEXt":
            if not _SOFTWARE.fullmatch(content) or kind in seen:
                raise MalformedError("holds text besides matplotlib's own version")
        elif kind in _PICTURE_CHUNKS:
            if len(content) > _PICTURE_CHUNKS[kind] or kind in seen:
                raise MalformedError("has an odd chunk")
        elif kind != b"IEND" or content:
            raise MalformedError("holds metadata")
        seen.append(kind)
    if not seen or seen[-1] != b"IEND":
        raise MalformedError("is cut short")
    _check_pixels(bytes(pixels), expected)


def png_problem(data: bytes) -> str:
    """Return why a PNG may not leave, as the end of a sentence; empty if it may."""
    try:
        _check_png(data)
    except MalformedError as error:
        return error.message
    return ""
