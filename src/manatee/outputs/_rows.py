"""Private rows and values that stand in the outputs as they are.

A piece of output *is* a row if it shares so much with one row that chance does not explain it. For
each column that matches, the chance is that of a random row (or of a random number in the column's
range) to match anything in the piece, so a piece full of numbers proves little per number. The
bits, -log2 of the chances, add up over the columns; `row_match_margin_bits` above log2(rows) is
the line. Rows printed in part, rounded, or across lines are found; encoded ones are not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from manatee.errors import ManateeError
from manatee.outputs._columns import Column, Key, printed_keys, read_columns
from manatee.outputs._form import unreadable
from manatee.outputs._subject import Subject, check, first_of
from manatee.outputs._tokens import Piece, Place, pieces
from manatee.records import OutputCheck

MAX_UNIQUE_VALUES = 10
"""So many distinct values that only one person has may stand in all outputs; more is a list."""

CHANCE = 3.0
"""So many standard deviations, and times the mean, of chance hits are taken off."""

WINDOW = 48
"""Tokens of a piece that spans lines; a row must fit into half of it."""

_ROWS = ("private-rows", "No row of the table")
_VALUES = ("private-values", "No list of single people's values")


@dataclass(frozen=True)
class _Printed:
    piece: Piece
    keys: dict[Key, int]


def private_rows_and_values(subject: Subject) -> tuple[OutputCheck, OutputCheck]:
    """Scan all outputs for rows, and for values that only one row has."""
    try:
        printed = [_Printed(piece, printed_keys(piece)) for piece in pieces(subject, WINDOW)]
        spoken = frozenset(key for item in printed for key in item.keys)
        places: set[Place] = set()
        single = 0.0
        for _, path in sorted(subject.tables.items()):
            columns = list(read_columns(path, spoken))
            places |= _flagged(printed, columns, subject.policy.row_match_margin_bits)
            single += sum(_single_values(column, spoken) for column in columns)
    except ManateeError as error:
        return unreadable(*_ROWS, error), unreadable(*_VALUES, error)
    rows = f"A row of a private table stands in {_first(places)}." if places else ""
    values = (
        f"More than {MAX_UNIQUE_VALUES} values that only one row has stand in the outputs."
        if single > MAX_UNIQUE_VALUES
        else ""
    )
    return (
        check(*_ROWS, rows, "All output was compared with every row."),
        check(*_VALUES, values, f"At most {MAX_UNIQUE_VALUES} single values."),
    )


def _first(places: set[Place]) -> str:
    kind = min(place.kind for place in places)
    numbers = {place.number for place in places if place.kind == kind}
    more = " and others" if len(places) > len(numbers) == 1 else ""
    return first_of(numbers, kind) + more


def _flagged(printed: list[_Printed], columns: list[Column], margin: int) -> set[Place]:
    """Return the places where a row stands."""
    n_records = len(columns[0].values) if columns else 0
    if n_records == 0:
        return set()
    limit = math.log2(n_records) + margin
    found: set[Place] = set()
    for item in printed:
        if item.piece.place in found:
            continue
        bits = [_bits(column, item.keys, n_records) for column in columns]
        enough = min(len(columns), 2)  # one value, however exact, is no row: a median is somebody's
        if n_records == 1 and sum(map(bool, bits)) >= enough:
            found.add(item.piece.place)  # chance says nothing of a single row: two values are it
            continue
        if sum(max(column.values(), default=0.0) for column in bits) < limit:
            continue
        candidates = {
            row
            for column, keys in zip(columns, bits, strict=True)
            for key in keys
            for row in column.rows.get(key, ())
        }
        for row in candidates:
            shared = [
                column.row_bits(row, keys) for column, keys in zip(columns, bits, strict=True)
            ]
            if sum(bit > 0 for bit in shared) >= enough and sum(shared) >= limit:
                found.add(item.piece.place)
                break
    return found


def _bits(column: Column, printed: dict[Key, int], n_records: int) -> dict[Key, float]:
    """Return, per matching key, how much the match says, in bits.

    The chance of a number is that of any number printed at least as exactly in this piece: row
    labels and other whole numbers beside an exact value do not make it less telling.
    """
    matched = {key: column.counts[key] for key in printed if key in column.counts}
    if column.bounds is None:
        return dict.fromkeys(matched, _information(sum(matched.values()) / n_records))
    numbers = {key: count for key, count in printed.items() if isinstance(key, tuple)}
    by_decimals: dict[int, float] = {}
    for decimals in {_exact_decimals(key) for key in numbers if key in matched}:
        exact = sum(matched.get(key, 0) for key in numbers if _exact_decimals(key) >= decimals)
        beside = sum(n for key, n in numbers.items() if _exact_decimals(key) >= decimals)
        chance = min(exact / n_records, beside / column.span(decimals))
        by_decimals[decimals] = _information(chance)
    return {key: by_decimals[_exact_decimals(key)] for key in numbers if key in matched}


def _exact_decimals(key: tuple[int, int]) -> int:
    """Return the decimals of a number without the zeros behind it: 1.000000 is no exact value."""
    decimals, scaled = key
    while decimals > 0 and scaled % 10 == 0:
        decimals, scaled = decimals - 1, scaled // 10
    return decimals


def _information(chance: float) -> float:
    return -math.log2(chance) if 0.0 < chance < 1.0 else 0.0


def _single_values(column: Column, spoken: frozenset[Key]) -> float:
    """Return how many printed values are exactly one row's, beyond what chance explains.

    Among T printed numbers in a column's range, whose values fill the share p of it, about T·p are
    somebody's by chance: aggregates over many rows hit some. Text is not hit by chance.
    """
    hits: dict[int, int] = {}
    for key in spoken & column.counts.keys():
        if column.counts[key] == 1:
            decimals = key[0] if isinstance(key, tuple) else -1
            hits[decimals] = hits.get(decimals, 0) + 1
    excess = 0.0
    for decimals, count in hits.items():
        expected = 0.0
        if column.bounds is not None:
            low, high = (bound * 10.0**decimals for bound in column.bounds)
            printed = sum(
                isinstance(key, tuple) and key[0] == decimals and low <= key[1] <= high
                for key in spoken
            )
            expected = printed * min(1.0, len(column.values) / column.span(decimals))
        excess += max(0.0, count - CHANCE * (expected + math.sqrt(expected)))
    return excess
