"""Rows in an order that says nothing: private tables are often sorted by what is to be hidden.

A column that was randomised and still stands in the order of the private values shows their ranks:
local privacy of the values is void then. So rows are scattered at random over files that fit into
memory, and each file is permuted (Rao 1961; Sandelius 1962). Every order is equally likely, up to
ties of 62-bit numbers.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc

from manatee.errors import ProvisioningError
from manatee.provisioning.pets._exact import ByteSource, from_system, uniform_below

ROWS_IN_MEMORY = 1 << 20
"""Rows of one file, about; a table of more is scattered over several."""

_TIES = 2**62


def shuffled(
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema,
    *,
    n_rows: int,
    folder: Path,
    in_memory: int = ROWS_IN_MEMORY,
    source: ByteSource = from_system,
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of all batches in a random order; takes them all before the first is given.

    Args:
        batches: Of the schema; empty ones are dropped.
        schema: Of the rows.
        n_rows: Rows at most, about; decides the number of files.
        folder: Where the files lie for the while.
        in_memory: Rows of a file.
        source: Of uniform bytes.

    Raises:
        ProvisioningError: The disk is full.
    """
    n_files = max(1, -(-n_rows // in_memory))
    try:
        with tempfile.TemporaryDirectory(prefix="manatee-order-", dir=folder) as scratch:
            files = [Path(scratch) / f"{place}.arrow" for place in range(n_files)]
            _scatter(batches, schema, files, source)
            for path in files:
                with pa.OSFile(str(path)) as stream:
                    rows = pa.ipc.open_file(stream).read_all()
                order = np.argsort(uniform_below(_TIES, rows.num_rows, source), kind="stable")
                yield from rows.take(pa.array(order)).to_batches()
                path.unlink()
    except OSError as error:
        raise ProvisioningError(
            "the treated rows cannot be put into another order.",
            hint="Free space beside the twin's folder: about the size of the table.",
        ) from error


def _scatter(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, files: list[Path], source: ByteSource
) -> None:
    with ExitStack() as stack:
        streams = [stack.enter_context(pa.OSFile(str(path), "wb")) for path in files]
        writers = [stack.enter_context(pa.ipc.new_file(stream, schema)) for stream in streams]
        for batch in batches:
            place = uniform_below(len(files), batch.num_rows, source)
            for number, writer in enumerate(writers):
                part = batch.filter(pa.array(place == number))
                if part.num_rows:
                    writer.write_batch(part)
