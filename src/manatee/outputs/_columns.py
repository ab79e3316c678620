"""Private columns, looked at only where their values occur in the outputs.

A column gives *keys*: what a printed token must be to stand for one of its values. Text: its
words in lower case, at most the first four. Numbers: the value rounded to the printed decimals,
once per number of decimals that occurs in the outputs. Only keys that the outputs hold are kept,
so memory is a few arrays of one column's length, whatever is printed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from manatee.errors import SealingError
from manatee.outputs._tokens import Number, Piece, read_tokens

MAX_WORDS = 4
"""Longer texts are known by their first four words."""

RARE_ROWS = 32
"""A value in at most so many rows leads to candidate rows."""

_LARGEST = float(1 << 52)
_WIDEST = 1e300

Key = str | tuple[int, int]
"""Words joined by spaces, or (decimals, value times ten to that power)."""


def number_key(number: Number) -> Key | None:
    """Return the key a printed number stands for; None where it is too large to matter."""
    scaled = number.value * 10.0**number.decimals
    return (number.decimals, round(scaled)) if abs(scaled) < _LARGEST else None


def printed_keys(piece: Piece) -> dict[Key, int]:
    """Return every key that a piece may stand for, with how often it stands there."""
    found: dict[Key, int] = {}
    words: list[str] = []
    for options in piece.tokens:
        for token in options:
            key = number_key(token) if isinstance(token, Number) else token
            if key is not None:
                found[key] = found.get(key, 0) + 1
        words.append(next((token for token in reversed(options) if isinstance(token, str)), ""))
    for length in range(2, MAX_WORDS + 1):
        for start in range(len(words) - length + 1):
            key = " ".join(words[start : start + length])
            found[key] = found.get(key, 0) + 1
    return found


def text_key(text: str) -> Key:
    """Return the key of a text value."""
    words = []
    for options in read_tokens(text)[:MAX_WORDS]:
        words.append(next((token for token in reversed(options) if isinstance(token, str)), ""))
    return " ".join(words)


@dataclass
class Column:
    """What one column shares with the outputs.

    Attributes:
        values: The column, one Arrow array.
        counts: Key to number of rows.
        rows: Rare keys to their rows.
        bounds: Smallest and largest finite value, for numbers; None for text.
    """

    values: Any
    counts: dict[Key, int] = field(default_factory=dict)
    rows: dict[Key, list[int]] = field(default_factory=dict)
    bounds: tuple[float, float] | None = None

    def span(self, decimals: int) -> float:
        """Return how many numbers of so many decimals lie in the column's range; 0 for text."""
        if self.bounds is None:
            return 0.0
        low, high = self.bounds
        return min((high - low) * 10.0**decimals + 1, _WIDEST)

    def row_bits(self, row: int, keys: Mapping[Key, float]) -> float:
        """Return the most that one of these keys says if it is the row's value; 0 if none is."""
        value = self.values[row].as_py()
        if value is None or not keys:
            return 0.0
        if self.bounds is None:
            return keys.get(text_key(str(value)), 0.0)
        if not math.isfinite(value):
            return 0.0
        return max(
            (
                bits
                for key, bits in keys.items()
                if isinstance(key, tuple) and round(float(value) * 10.0 ** key[0]) == key[1]
            ),
            default=0.0,
        )


def _add(column: Column, key: Key, rows: list[int]) -> None:
    column.counts[key] = column.counts.get(key, 0) + len(rows)
    if column.counts[key] <= RARE_ROWS:
        column.rows.setdefault(key, []).extend(rows)
    else:
        column.rows.pop(key, None)


def _index_text(column: Column, printed: frozenset[Key]) -> None:
    import pyarrow.compute as pc

    encoded = pc.dictionary_encode(column.values.cast("string"))
    wanted: dict[int, Key] = {}
    for position, text in enumerate(encoded.dictionary.to_pylist()):
        key = text_key(text) if text else ""
        if key and key in printed:
            wanted[position] = key
    if wanted:
        import pyarrow as pa

        kept = pc.is_in(encoded.indices, value_set=pa.array(wanted, type=encoded.indices.type))
        where = pc.indices_nonzero(kept)
        _collect(column, where, [wanted[i] for i in encoded.indices.take(where).to_pylist()])


def _index_numbers(column: Column, printed: frozenset[Key]) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    numbers = column.values.cast("float64", safe=False)
    numbers = pc.if_else(pc.is_finite(numbers), numbers, pa.scalar(None, "float64"))
    extent = pc.min_max(numbers).as_py()
    if extent["min"] is None:
        return
    column.bounds = (extent["min"], extent["max"])
    by_decimals: dict[int, set[int]] = {}
    for key in printed:
        if isinstance(key, tuple):
            by_decimals.setdefault(key[0], set()).add(key[1])
    for decimals, scaled in by_decimals.items():
        rounded = pc.round(pc.multiply(numbers, 10.0**decimals))
        kept = pc.is_in(rounded, value_set=pa.array([float(item) for item in scaled]))
        where = pc.indices_nonzero(kept)
        found = rounded.take(where).to_pylist()
        _collect(column, where, [(decimals, int(item)) for item in found])


def _collect(column: Column, where: Any, keys: list[Any]) -> None:
    by_key: dict[Key, list[int]] = {}
    for row, key in zip(where.to_pylist(), keys, strict=True):
        by_key.setdefault(key, []).append(row)
    for key, rows in by_key.items():
        _add(column, key, rows)


def read_columns(path: Path, printed: frozenset[Key]) -> Iterator[Column]:
    """Read a table's columns one after the other, indexed by what the outputs print.

    Args:
        path: Arrow IPC file.
        printed: Every key that any piece may stand for.

    Raises:
        SealingError: The table cannot be read, or holds a column no check understands.
    """
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as source:
            table = pa.ipc.open_file(source).read_all()
        for name in table.column_names:
            values = table.column(name).combine_chunks()
            if isinstance(values, pa.ChunkedArray):
                values = pa.concat_arrays(values.chunks) if values.num_chunks else values
            column = Column(values)
            kind = values.type
            if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
                _index_numbers(column, printed)
            else:
                _index_text(column, printed)
            yield column
    except (pa.ArrowException, OSError) as error:
        raise SealingError("a table cannot be read for the row scan.") from error
