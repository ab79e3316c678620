"""Reading fixed binary structures: every byte is accounted for, and none is read twice."""

from __future__ import annotations

from manatee.errors import MalformedError


class Cursor:
    """Walks over bytes; running out and leftovers are both malformed."""

    def __init__(self, data: bytes, what: str) -> None:
        """Start at the first byte.

        Args:
            data: All of the structure.
            what: What the caller calls it, for messages.
        """
        self._data = data
        self._at = 0
        self._what = what

    @property
    def position(self) -> int:
        """Bytes read so far."""
        return self._at

    @property
    def left(self) -> int:
        """Bytes not yet read."""
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes.

        Raises:
            MalformedError: There are not that many.
        """
        if not 0 <= count <= self.left:
            raise MalformedError(
                f"{self._what}: {count} bytes expected at byte {self._at}, {self.left} are there."
            )
        start, self._at = self._at, self._at + count
        return self._data[start : self._at]

    def number(self, count: int, *, big: bool = False) -> int:
        """Return an unsigned integer of `count` bytes, little-endian unless `big`."""
        return int.from_bytes(self.take(count), "big" if big else "little")

    def sized(self, prefix_bytes: int, *, big: bool, at_most: int) -> bytes:
        """Return bytes that their length precedes.

        Raises:
            MalformedError: The length is over `at_most` or past the end.
        """
        length = self.number(prefix_bytes, big=big)
        if length > at_most:
            raise MalformedError(
                f"{self._what}: a part claims {length} bytes; at most {at_most} are read."
            )
        return self.take(length)

    def rest(self) -> bytes:
        """Return all bytes left."""
        return self.take(self.left)

    def end(self) -> None:
        """Check that nothing is left.

        Raises:
            MalformedError: Bytes follow the structure.
        """
        if self.left:
            raise MalformedError(f"{self._what}: {self.left} bytes follow its end.")
