"""Private columns, looked at only where their values occur in the outputs.

A column gives *keys*: what a printed token must be to stand for one of its values. Text: its first
four words in lower case. Whole numbers and dates: the value. Fractions: the value rounded to the
printed decimals. Memory is a few arrays of one column's length, whatever the table's size.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from manatee.errors import SealingError
from manatee.outputs._tokens import Number, Token

MAX_WORDS = 4
"""Longer texts are known by their first four words."""

RARE_ROWS = 32
"""A value in at most so many rows leads to candidate rows."""

_LARGEST = float(1 << 52)

Key = str | int | tuple[int, int]


@dataclass
class Column:
    """What one column shares with the outputs.

    Attributes:
        counts: Key to number of rows.
        rows: Rare keys to their rows.
        density: Per number of decimals, the share of possible keys in the column's range that
            its values fill at most; 0 for text.
        bounds: Smallest and largest value, for numbers.
    """

    name: str
    values: Any
    counts: dict[Key, int] = field(default_factory=dict)
    rows: dict[Key, list[int]] = field(default_factory=dict)
    bounds: tuple[float, float] | None = None

    @property
    def is_text(self) -> bool:
        """Whether the keys are words."""
        return self.bounds is None

    def density(self, decimals: int) -> float:
        """Return which share of the numbers of so many decimals in range the column fills."""
        if self.bounds is None:
            return 0.0
        low, high = self.bounds
        return float(min(1.0, len(self.values) / ((high - low) * 10.0**decimals + 1)))

    def keys(self, tokens: tuple[tuple[Token, ...], ...]) -> Iterable[tuple[int, Key]]:
        """Yield position and key of every token, or run of words, that may be a value."""

    def matches(self, row: int) -> Any:
        """Return a row's value."""
        return self.values[row].as_py()
