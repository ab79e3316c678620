"""What can be counted: cells of a table's columns, exactly.

Counts are private. Only `provisioning.noise` may release anything from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from manatee.contracts import Column, n_cells, n_values

Merge = npt.NDArray[np.int64]
"""Merged cell of each cell, shape (n_cells,); merged cells are numbered from 0 without a gap."""

Counts = npt.NDArray[np.int64]

MAX_MARGINAL_CELLS = 1 << 24
"""Most cells of one marginal that is counted: 128 MiB of counts."""


@dataclass(frozen=True)
class Attribute:
    """One coded column; codes are 0 to n_cells - 1.

    Attributes:
        ordered: Whether the first `n_values` cells are neighbours on a line.
        n_values: Cells for values; one less than `n_cells` where a last cell means missing.
    """

    name: str
    n_cells: int
    ordered: bool
    n_values: int


def attribute_of(column: Column) -> Attribute:
    """Return the attribute of a contract's column."""
    return Attribute(column.name, n_cells(column), column.numeric, n_values(column))


class Counter(Protocol):
    """Counts marginals of one table. Every answer is private."""

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """The coded columns."""

    def count(
        self, marginals: Sequence[tuple[str, ...]], merges: Mapping[str, Merge] | None = None
    ) -> list[Counts]:
        """Count cells exactly, in one pass over the data for the whole list.

        Args:
            marginals: Column names; an empty tuple counts the rows, shape ().
            merges: Columns whose cells are merged.

        Returns:
            One array per marginal, its axes in the order of the names, each as long as the
            column has merged cells, or else cells.

        Raises:
            ProvisioningError: More than `MAX_MARGINAL_CELLS` cells.
        """
