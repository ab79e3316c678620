"""Counting a table that is larger than memory: coded once into blocks on disk.

The file holds private codes. It is made in the provider's temporary folder, readable by nobody
else, and unlinked while still open, so that it is gone with the process whatever happens.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from manatee.contracts import Codes, Column, code_type, encode
from manatee.errors import ProvisioningError
from manatee.provisioning.counting._bincount import count_blocks
from manatee.provisioning.counting._interface import Attribute, Counts, Merge, attribute_of
from manatee.provisioning.counting._memory import BLOCK_ROWS


class BlockCounter:
    """Counts a stream of record batches; memory does not grow with its rows."""

    def __init__(
        self,
        columns: Sequence[Column],
        batches: Iterable[pa.RecordBatch],
        *,
        folder: Path | None = None,
    ) -> None:
        """Code the batches, once.

        Args:
            columns: Cellular columns of the contract.
            batches: Their values under the columns' names; must keep to the contract.
            folder: Where the coded blocks lie; None for the system's temporary folder.

        Raises:
            ProvisioningError: The disk is full, or cannot be written.
        """
        self._columns = tuple(columns)
        self._attributes = tuple(attribute_of(column) for column in columns)
        self._types = [np.dtype(code_type(column)) for column in columns]
        self._lengths: list[int] = []
        self._file = tempfile.TemporaryFile(dir=folder)  # closed by `close`
        try:
            for batch in batches:
                self._append(batch)
            self._file.flush()
        except OSError as error:
            self._file.close()
            raise ProvisioningError(
                "the coded table cannot be written.",
                hint="Free space in the temporary folder: about one byte per value.",
            ) from error
        except BaseException:
            self._file.close()
            raise

    def _append(self, batch: pa.RecordBatch) -> None:
        for start in range(0, batch.num_rows, BLOCK_ROWS):
            block = batch.slice(start, BLOCK_ROWS)
            for column in self._columns:
                self._file.write(np.ascontiguousarray(encode(block[column.name], column)).data)
            self._lengths.append(block.num_rows)

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """The coded columns."""
        return self._attributes

    def _blocks(self) -> Iterator[Mapping[str, Codes]]:
        self._file.seek(0)
        for length in self._lengths:
            block = {}
            for column, kind in zip(self._columns, self._types, strict=True):
                data = self._file.read(length * kind.itemsize)
                block[column.name] = np.frombuffer(data, kind)
            yield block

    def count(
        self, marginals: Sequence[tuple[str, ...]], merges: Mapping[str, Merge] | None = None
    ) -> list[Counts]:
        """Count cells exactly. See `Counter.count`."""
        return count_blocks(self._blocks(), self._attributes, marginals, merges)

    def close(self) -> None:
        """Forget the coded table."""
        self._file.close()

    def __enter__(self) -> BlockCounter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
