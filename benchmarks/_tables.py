"""A mixed table of twelve columns at any size, and the contract it keeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from manatee.contracts import Column, Table, arrow_schema, from_line

BATCH_ROWS = 1 << 18
REGIONS = tuple(f"region-{place}" for place in range(12))
CODES = tuple(f"{letter}{digit}" for letter in "ABCDEF" for digit in range(8))

COLUMNS = (
    Column("age", "integer", minimum=0, maximum=109, bins=22),
    Column("income", "float", minimum=0, maximum=200_000, bins=32, nullable=True),
    Column("bmi", "float", minimum=10, maximum=60, bins=32),
    Column("premium", "decimal", minimum=0, maximum=5_000, bins=32, decimals=2),
    Column("claims", "integer", minimum=0, maximum=20, bins=21),
    Column("born", "date", minimum=-10_000, maximum=20_000, bins=32),
    Column("seen", "timestamp", minimum=1.5e9, maximum=1.7e9, bins=32, nullable=True),
    Column("smoker", "boolean"),
    Column("sex", "category", categories=("female", "male", "other")),
    Column("region", "category", categories=REGIONS),
    Column("code", "category", categories=CODES, nullable=True),
    Column("score", "float", minimum=-5, maximum=5, bins=32),
)
TABLE = Table("visits", COLUMNS)


def _batch(n_rows: int, sampler: np.random.Generator) -> pa.RecordBatch:
    """Return rows whose columns all lean on one hidden number per row."""
    hidden = sampler.random(n_rows)
    arrays = []
    for column in COLUMNS:
        share = np.clip(0.6 * hidden + 0.4 * sampler.random(n_rows), 0, 1)
        if column.numeric:
            low, high = float(column.minimum or 0), float(column.maximum or 0)
            values = from_line(low + (high - low) * share**2, column)
        elif column.type == "boolean":
            values = pa.array(share > 0.7)
        else:
            places = (share * len(column.categories)).astype(np.int64)
            places = np.minimum(places, len(column.categories) - 1)
            values = pa.array(column.categories, pa.string()).take(pa.array(places))
        if column.nullable:
            missing = pa.array(sampler.random(n_rows) < 0.05)
            values = pa.compute.if_else(missing, pa.scalar(None, values.type), values)
        arrays.append(values)
    return pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(TABLE))


def write_table(path: Path, n_rows: int, *, seed: int = 0) -> None:
    """Write a Parquet file of so many rows."""
    sampler = np.random.default_rng(seed)
    with pa.parquet.ParquetWriter(path, arrow_schema(TABLE)) as writer:
        for start in range(0, n_rows, BATCH_ROWS):
            writer.write_batch(_batch(min(BATCH_ROWS, n_rows - start), sampler))
