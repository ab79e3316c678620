"""Tables at rest: Parquet modular encryption for sealed data, plain Parquet for twins.

pyarrow leaves every column that its key map does not list in **plaintext**, without a word. So
the map is built from all leaf columns of the schema, and the written file is scanned: with the
column key withheld every leaf column must be unreadable, with no key the file must not open. A
file that fails the scan is removed.

It also reads a plaintext file in place of an encrypted one, so unsealing looks at the magic bytes
at both ends first (`PARE`: encrypted footer; `PAR1`: none).

Sizes of columns and row groups show through the length of the ciphertext; row counts do as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from manatee.errors import SealingError
from manatee.records import FileEntry
from manatee.sealing._files import check_folder, describe, verified
from manatee.sealing._kms import (
    COLUMN_KEY_ID,
    KeyRefusedError,
    decryption,
    encryption,
)

TABLE_FILE = "table.parquet"
ROW_GROUP_ROWS = 1 << 20
"""Most rows of a row group: large ones are read faster, sealed ones most of all."""

ROW_GROUP_BYTES = 64 << 20
"""A row group ends when it holds so many bytes of Arrow data, so that wide tables stay readable in
bounded memory."""

_BATCH_ROWS = 1 << 16

SEALED_PAGE_BYTES = 8 << 20
"""Each page is encrypted by itself: with these, sealed reads took 11-15% less time than with
pyarrow's 1 MiB (interleaved reads of two tables, a loaded machine). Plain files keep those."""

BATCH_ROWS = 1 << 16
_MAGIC = {True: b"PARE", False: b"PAR1"}


def seal_table(
    table: pa.Table | pa.RecordBatchReader, folder: Path, key: bytes
) -> tuple[FileEntry, ...]:
    """Write a table as encrypted Parquet, streaming, and prove that nothing is in plaintext.

    Args:
        table: At least one row. Schema metadata (which libraries fill with index values) is
            dropped.
        folder: An existing folder without `table.parquet`.
        key: The data key, 32 bytes; one key per data set version.

    Raises:
        SealingError: The table is empty, the key has another length, the file exists, or the
            scan found plaintext. Nothing is left behind then.
    """
    return _write(table, folder, key)


def write_plain(table: pa.Table | pa.RecordBatchReader, folder: Path) -> tuple[FileEntry, ...]:
    """Write a table as plain Parquet, for twins. Arguments and errors as `seal_table`."""
    return _write(table, folder, None)


def unseal_to_arrow(
    folder: Path, files: tuple[FileEntry, ...], key: bytes | None, target: Path
) -> None:
    """Verify, decrypt and write one Arrow IPC file, batch by batch.

    Every file's size and SHA-256 are checked before a byte of it is parsed. Memory is bounded by
    a row group, not by the table.

    Args:
        folder: Holds exactly `files`.
        files: As the data set manifest lists them; the table's rows follow their order.
        key: The data key; None for a data set that is not sealed.
        target: Arrow IPC file to make; must not exist. Readable by the caller's user only.

    Raises:
        SealingError: A missing, added, changed, linked or unreadable file, a wrong key, sealed
            where plain was promised or the reverse, or files of different schemas. `target` is
            removed then.
    """
    check_folder(folder, files)
    try:
        target.touch(mode=0o600, exist_ok=False)
    except OSError as error:
        raise SealingError("the table's target exists or cannot be made.") from error
    try:
        with _translated(), pa.OSFile(str(target), "wb") as sink:
            _copy(folder, files, key, sink)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _copy(
    folder: Path, files: tuple[FileEntry, ...], key: bytes | None, sink: pa.NativeFile
) -> None:
    writer: pa.RecordBatchWriter | None = None
    schema: pa.Schema | None = None
    try:
        for entry in files:
            with verified(folder, entry) as stream:
                _check_magic(stream, sealed=key is not None)
                with _open(stream, key) as parquet:
                    if writer is None:
                        schema = parquet.schema_arrow
                        writer = pa.ipc.new_file(sink, schema)
                    elif parquet.schema_arrow != schema:
                        raise SealingError("the data set's files differ in their schema.")
                    for batch in parquet.iter_batches(batch_size=BATCH_ROWS):
                        writer.write_batch(batch)
    finally:
        if writer is not None:
            writer.close()


def _open(
    stream: BinaryIO | Path, key: bytes | None, withheld: frozenset[str] = frozenset()
) -> pq.ParquetFile:
    properties = None if key is None else decryption(key, withheld=withheld)
    return pq.ParquetFile(stream, decryption_properties=properties, pre_buffer=False)


def _check_magic(stream: BinaryIO, *, sealed: bool) -> None:
    head = stream.read(4)
    stream.seek(-min(4, len(head)), 2)
    tail = stream.read(4)
    stream.seek(0)
    if not head == tail == _MAGIC[sealed]:
        kind = "encrypted" if sealed else "plain"
        raise SealingError(f"a file of the data set is not {kind} Parquet.")


def _write(
    table: pa.Table | pa.RecordBatchReader, folder: Path, key: bytes | None
) -> tuple[FileEntry, ...]:
    path = folder / TABLE_FILE
    if path.exists():
        raise SealingError("the folder already holds a table.", hint="Give an empty folder.")
    try:
        with _translated():
            _write_parquet(table, path, key)
            if key is not None:
                scan(path, key)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return (describe(folder, TABLE_FILE),)


def _write_parquet(table: pa.Table | pa.RecordBatchReader, path: Path, key: bytes | None) -> None:
    schema = table.schema.remove_metadata()
    batches = table.to_batches(_BATCH_ROWS) if isinstance(table, pa.Table) else table
    properties = None if key is None else encryption(key, leaf_columns(schema))
    n_records = 0
    with pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        data_page_size=None if key is None else SEALED_PAGE_BYTES,
        encryption_properties=properties,
    ) as writer:
        for rows in _row_groups(batches, schema):
            writer.write_table(rows, row_group_size=ROW_GROUP_ROWS)
            n_records += rows.num_rows
    if n_records == 0:
        raise SealingError("a table without rows cannot be written.")


def _row_groups(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        if batch.num_rows == 0:
            continue
        held.append(batch.replace_schema_metadata(None))
        rows += batch.num_rows
        size += batch.nbytes
        if rows >= ROW_GROUP_ROWS or size >= ROW_GROUP_BYTES:
            yield pa.Table.from_batches(held, schema)
            held, rows, size = [], 0, 0
    if held:
        yield pa.Table.from_batches(held, schema)


def leaf_columns(schema: pa.Schema) -> list[str]:
    """Return the Parquet path of every leaf column, nested ones too, in the order of the file.

    Raises:
        SealingError: No column, or two leaves of one path: a key map could not tell them apart.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), sink)
    parquet = pq.ParquetFile(pa.BufferReader(sink.getvalue())).schema
    paths = [parquet.column(index).path for index in range(len(parquet))]
    if not paths or len(set(paths)) != len(paths):
        raise SealingError("the table's columns need names, each its own.")
    return paths


def scan(path: Path, key: bytes) -> None:
    """Check that a sealed file shows nothing without its keys.

    Raises:
        SealingError: The file opens without a key, or a leaf column is readable without the
            column key. Names the column.
    """
    with path.open("rb") as stream:
        _check_magic(stream, sealed=True)
    if _opens_without_key(path):
        raise SealingError("the sealed file opens without a key.")
    with _open(path, key, frozenset({COLUMN_KEY_ID})) as parquet:
        groups = range(parquet.num_row_groups)
        for column in leaf_columns(parquet.schema_arrow):
            if not groups or any(_readable(parquet, group, column) for group in groups):
                raise SealingError(f"column {column!r} of the sealed file is in plaintext.")


def _opens_without_key(path: Path) -> bool:
    try:
        _open(path, None).close()
    except (pa.ArrowException, OSError):
        return False
    return True


def _readable(parquet: pq.ParquetFile, group: int, column: str) -> bool:
    try:
        parquet.read_row_group(group, columns=[column])
    except KeyRefusedError:
        return False
    return True


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SealingError(
            "the table cannot be read or written as Parquet; it may be damaged."
        ) from error
