"""A table that is read one column or one sample at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from manatee.errors import TableError

SAMPLED_ROWS = 100_000
"""Rows that comparisons of several columns look at; more are sampled, and the report says so."""


class Rows:
    """An Arrow table, or a Parquet file of which never more than one column is in memory."""

    def __init__(self, source: pa.Table | Path) -> None:
        self._source = source

    @property
    def n_rows(self) -> int:
        """Number of rows; private for a private table."""
        if isinstance(self._source, Path):
            return int(self._parquet(lambda file: file.metadata.num_rows))
        return int(self._source.num_rows)

    def column(self, name: str) -> pa.ChunkedArray:
        """Return a whole column. Raises TableError for one that is not there."""
        return self.columns([name])[name]

    def columns(self, names: list[str]) -> pa.Table:
        """Return whole columns. Raises TableError for one that is not there."""
        if isinstance(self._source, Path):
            found = self._parquet(lambda file: file.read(columns=names))
        else:
            found = self._source.select([n for n in names if n in self._source.column_names])
        if found.column_names != names:
            raise TableError("the table's columns are not the contract's.")
        return found

    def sample(self, names: list[str], most: int, sampler: np.random.Generator) -> pa.Table:
        """Return at most `most` rows, drawn evenly, in their order; column by column."""
        if self.n_rows <= most:
            return self.columns(names)
        rows = pa.array(np.sort(sampler.choice(self.n_rows, most, replace=False)))
        return pa.table({name: self.column(name).take(rows) for name in names})

    def _parquet(self, read: Callable[[Any], Any]) -> Any:
        try:
            with pq.ParquetFile(self._source) as file:
                return read(file)
        except (OSError, pa.ArrowException) as error:
            raise TableError("the table's Parquet file cannot be read.") from error
