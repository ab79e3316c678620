"""Counting codes that are held in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from manatee.contracts import Codes, Column, encode
from manatee.errors import ProvisioningError
from manatee.provisioning.counting._bincount import count_blocks
from manatee.provisioning.counting._interface import Attribute, Counts, Merge, attribute_of

BLOCK_ROWS = 1 << 16
"""Rows of a block: its codes stay in the processor's cache while every pair is counted."""


class MemoryCounter:
    """Counts a table whose codes fit into memory."""

    def __init__(self, attributes: tuple[Attribute, ...], codes: Mapping[str, Codes]) -> None:
        """Hold codes; every attribute's, all of one length."""
        lengths = {len(codes[item.name]) for item in attributes}
        if len(lengths) > 1:
            raise ProvisioningError("the columns of a table are of different lengths.")
        self._attributes = attributes
        self._codes = {item.name: codes[item.name] for item in attributes}
        self._n_rows = lengths.pop() if lengths else 0

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """The coded columns."""
        return self._attributes

    def _blocks(self) -> Iterator[Mapping[str, Codes]]:
        for start in range(0, self._n_rows, BLOCK_ROWS):
            yield {name: codes[start : start + BLOCK_ROWS] for name, codes in self._codes.items()}

    def count(
        self, marginals: Sequence[tuple[str, ...]], merges: Mapping[str, Merge] | None = None
    ) -> list[Counts]:
        """Count cells exactly. See `Counter.count`."""
        return count_blocks(self._blocks(), self._attributes, marginals, merges)


def memory_counter(columns: Sequence[Column], values: Mapping[str, object]) -> MemoryCounter:
    """Return a counter of Arrow columns; `values` maps each column's name to its array."""
    codes = {column.name: encode(values[column.name], column) for column in columns}
    return MemoryCounter(tuple(attribute_of(column) for column in columns), codes)
