"""Exact counts of a table's rows, batch by batch: private where the table is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from manatee.errors import MalformedError
from manatee.records import MAX_STRATA, ArrowColumn, Stratum, TwinComparison

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass
class ExactCounts:
    """Counts of one kind; `columns` as in `NoisyCounts`."""

    what: Literal["records", "missing", "strata"]
    columns: tuple[str, ...]
    counts: list[int]


def arrow_columns(schema: pa.Schema) -> tuple[ArrowColumn, ...]:
    """Return names and types as a notebook sees them."""
    return tuple(
        ArrowColumn(name=field.name, type=str(field.type), nullable=field.nullable)
        for field in schema
    )


def count_exactly(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, order: TwinComparison
) -> tuple[ExactCounts, ...]:
    """Count the rows that an order asks for; how many counts there are is the order's alone.

    Of a person's rows the first `most_rows` count, and rows of nobody do not, so that one person
    moves each count, and all strata of one kind together, by at most `most_rows`. A row with a
    missing or unlisted value is in no stratum, unless another value stands for unlisted ones.

    Args:
        batches: The table's rows, in their order.
        schema: Their schema.
        order: What to count.

    Raises:
        MalformedError: The order names a column that is not there or cannot be counted.
    """
    check_order(order, schema)
    found = [ExactCounts("records", (), [0])]
    found += [ExactCounts("missing", (name,), [0]) for name in order.missing]
    strata = [ExactCounts("strata", item.columns, [0] * n_strata(item)) for item in order.strata]
    for batch in _bounded(batches, order):
        found[0].counts[0] += batch.num_rows
        for item in found[1:]:
            item.counts[0] += batch.column(item.columns[0]).null_count
        for counted, stratum in zip(strata, order.strata, strict=True):
            for place, count in _strata(batch, stratum):
                counted.counts[place] += count
    return (*found, *strata)


def n_strata(stratum: Stratum) -> int:
    """Return how many strata there are."""
    number = 1
    for values in stratum.values:
        number *= len(values)
    return number


def check_order(order: TwinComparison, schema: pa.Schema) -> None:
    """Check an order against a table's schema; looks at no row.

    Raises:
        MalformedError: It names a column that is not there or cannot be counted, or too much.
    """
    if (order.unit == "person") != (order.person is not None):
        raise MalformedError("a comparison per person names the column of persons, others none.")
    if order.unit == "row" and order.most_rows != 1:
        raise MalformedError("a comparison per row looks at one row of each.")
    named = [*order.missing, *(name for item in order.strata for name in item.columns)]
    for name in (*named, *([order.person] if order.person else [])):
        if schema.get_field_index(name) < 0:
            raise MalformedError("a comparison names a column that the table does not have.")
    for item in order.strata:
        if not len(item.columns) == len(item.values) == len(item.other):
            raise MalformedError("a stratum's columns and values do not fit each other.")
        if len(set(item.columns)) != len(item.columns) or not all(item.values):
            raise MalformedError("a stratum names a column twice, or one without values.")
        if any(len(set(values)) != len(values) for values in item.values):
            raise MalformedError("a stratum names a value twice.")
        if n_strata(item) > MAX_STRATA:
            raise MalformedError(f"a comparison has more than {MAX_STRATA} strata.")


def _bounded(batches: Iterable[pa.RecordBatch], order: TwinComparison) -> Iterator[pa.RecordBatch]:
    """Yield the rows that count: all of them, or the first `most_rows` of each person."""
    if order.person is None:
        yield from batches
        return
    import pyarrow as pa

    seen: dict[object, int] = {}
    for batch in batches:
        kept = []
        for person in batch.column(order.person).to_pylist():
            rows = seen.get(person, 0)
            kept.append(person is not None and rows < order.most_rows)
            seen[person] = rows + 1
        yield batch.filter(pa.array(kept, pa.bool_()))


def _strata(batch: pa.RecordBatch, stratum: Stratum) -> Iterator[tuple[int, int]]:
    """Yield place and count of the strata that the batch has rows of."""
    import pyarrow as pa
    import pyarrow.compute as pc

    places = None
    for name, values, other in zip(stratum.columns, stratum.values, stratum.other, strict=True):
        texts = batch.column(name).cast(pa.string())
        found = pc.index_in(texts, value_set=pa.array(values, pa.string()))
        if other is not None:
            unlisted = pc.and_(pc.is_valid(texts), pc.is_null(found))
            found = pc.if_else(unlisted, pa.scalar(values.index(other), pa.int32()), found)
        places = found if places is None else pc.add(pc.multiply(places, len(values)), found)
    for item in pc.value_counts(places).to_pylist():
        if item["values"] is not None:
            yield item["values"], item["counts"]
