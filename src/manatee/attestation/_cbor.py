"""The part of CBOR that evidence uses, read strictly (RFC 8949, sections 3 and 4.2.1).

Definite and shortest lengths only, no duplicate keys, no floats, no unknown tags, nothing after the
end, and bounds on depth and items: what generic readers let pass, evidence has no use for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from manatee.errors import MalformedError

MAX_CBOR_BYTES = 64 << 10
MAX_DEPTH = 8
MAX_ITEMS = 2048

Key = int | str
Value: TypeAlias = "int | bytes | str | bool | list[Value] | dict[Key, Value] | Tagged | None"


@dataclass(frozen=True)
class Tagged:
    """A value under a tag."""

    tag: int
    value: Value


class _Reader:
    """One pass over the bytes; never goes back."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0
        self._items = 0

    def _take(self, count: int) -> bytes:
        if count > len(self._data) - self.at:
            raise MalformedError("CBOR ends before its value does.")
        start, self.at = self.at, self.at + count
        return self._data[start : self.at]

    def _head(self) -> tuple[int, int]:
        first = self._take(1)[0]
        major, info = first >> 5, first & 0x1F
        if info < 24:
            return major, info
        if info > 27:
            raise MalformedError("CBOR of indefinite length, or reserved.")
        size = 1 << info - 24
        value = int.from_bytes(self._take(size), "big")
        if value < (24 if size == 1 else 1 << 4 * size):
            raise MalformedError("a CBOR length or number is not in its shortest form.")
        return major, value

    def read(self, depth: int) -> Value:
        """Read one value."""
        self._items += 1
        if depth > MAX_DEPTH or self._items > MAX_ITEMS:
            raise MalformedError("CBOR is nested too deep or has too many items.")
        start = self.at
        major, value = self._head()
        if major == 0:
            return value
        if major == 1:
            return -1 - value
        if major == 2:
            return self._take(value)
        if major == 3:
            try:
                return self._take(value).decode("utf-8")
            except UnicodeDecodeError as error:
                raise MalformedError("CBOR text is not UTF-8.") from error
        if major == 4:
            self._bound(value)
            return [self.read(depth + 1) for _ in range(value)]
        if major == 5:
            return self._map(value, depth)
        if major == 6:
            return Tagged(value, self.read(depth + 1))
        simple = self._data[start]
        if simple not in (0xF4, 0xF5, 0xF6):
            raise MalformedError("CBOR holds a float or an unknown simple value.")
        return {0xF4: False, 0xF5: True, 0xF6: None}[simple]

    def _bound(self, count: int) -> None:
        if count > MAX_ITEMS or count > len(self._data) - self.at:
            raise MalformedError("CBOR claims more items than it has bytes.")

    def _map(self, count: int, depth: int) -> dict[Key, Value]:
        self._bound(count)
        found: dict[Key, Value] = {}
        for _ in range(count):
            key = self.read(depth + 1)
            if not isinstance(key, int | str) or isinstance(key, bool):
                raise MalformedError("a CBOR map's key must be a number or a text.")
            if key in found:
                raise MalformedError("a CBOR map holds the same key twice.")
            found[key] = self.read(depth + 1)
        return found


def decode(data: bytes, *, max_bytes: int = MAX_CBOR_BYTES) -> Value:
    """Read exactly one value.

    Raises:
        MalformedError: It is not CBOR of this subset, or too large.
    """
    if len(data) > max_bytes:
        raise MalformedError(f"CBOR of {len(data)} bytes; at most {max_bytes} are read.")
    reader = _Reader(data)
    value = reader.read(0)
    if reader.at != len(data):
        raise MalformedError("bytes follow the CBOR value.")
    return value


def bytes_of(value: Value, what: str, *, sizes: tuple[int, ...] = (), at_most: int = 0) -> bytes:
    """Return a value that must be bytes, of one of some sizes or of at most so many.

    Raises:
        MalformedError: It is something else.
    """
    if not isinstance(value, bytes):
        raise MalformedError(f"{what} must be bytes.")
    if (sizes and len(value) not in sizes) or (at_most and len(value) > at_most):
        raise MalformedError(f"{what} has the wrong length.")
    return value


def head(major: int, value: int) -> bytes:
    """Return the shortest head of a CBOR value."""
    for size, info in ((1, 24), (2, 25), (4, 26), (8, 27)):
        if value < 24:
            return bytes((major << 5 | value,))
        if value < 1 << 8 * size:
            return bytes((major << 5 | info,)) + value.to_bytes(size, "big")
    raise MalformedError("a CBOR length is beyond 64 bits.")


def encode_bytes(data: bytes) -> bytes:
    """Return a byte string's CBOR."""
    return head(2, len(data)) + data
