"""Files as streams of record batches, whatever their format; memory bound by a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet

from manatee.contracts import quoted
from manatee.errors import TableError

BATCH_ROWS = 1 << 16
"""Rows of a batch: a few MB at ten columns."""

_CSV_BLOCK_BYTES = 1 << 22
_BUFFER_BYTES = 1 << 20

_DUCKDB_BROKEN = "the database or its table cannot be read."
_DUCKDB_HINT = "The file must be a DuckDB database with a table of that name, open nowhere else."


@dataclass(frozen=True)
class Raw:
    """A table as its source gives it.

    Attributes:
        names: Columns found, in the source's order, repeated ones included.
        texts: Whether every value is text that must still be parsed.
    """

    names: Sequence[str]
    batches: Iterator[pa.RecordBatch]
    texts: bool = False


def open_file(path: Path, name: str, columns: Sequence[str]) -> AbstractContextManager[Raw]:
    """Open one table's file by its ending.

    Args:
        path: .csv, .parquet (or a folder of them), .arrow, .feather, .ipc, .duckdb or .db.
        name: The table's name inside a database file, `schema.table` or `table`.
        columns: The contract's columns.

    Raises:
        TableError: Another ending, or no such file. The stream raises it for a broken file.
    """
    if not path.exists():
        raise TableError(f"table {name!r}: its file is not there.")
    if path.is_dir():
        return _parquet(sorted(path.glob("*.parquet")), name)
    ending = path.suffix.lower()
    if ending == ".parquet":
        return _parquet([path], name)
    if ending in {".duckdb", ".db"}:
        return _duckdb(path, name)
    readers: dict[str, Callable[[], AbstractContextManager[Raw]]] = {
        ".csv": lambda: _csv(path, name, columns),
        ".arrow": lambda: _ipc(path, name),
        ".feather": lambda: _ipc(path, name),
        ".ipc": lambda: _ipc(path, name),
    }
    if ending not in readers:
        raise TableError(
            f"table {name!r}: nobody knows this kind of file.",
            hint="Known endings: .csv, .parquet, .arrow, .feather, .ipc, .duckdb, .db.",
        )
    return readers[ending]()


@contextmanager
def _broken(name: str, what: str, hint: str = "") -> Iterator[None]:
    """Turn a reader's errors, whose messages quote the data, into one that does not."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError, duckdb.Error):
        raise TableError(f"table {name!r}: {what}", hint=hint) from None


_CSV_BROKEN = (
    "not a CSV table: every line must have as many fields as the header, in UTF-8.",
    "UTF-8, comma between fields, names in the first line.",
)


def csv_batches(source: object, name: str, columns: Sequence[str]) -> Raw:
    """Return the texts of a CSV stream; an empty field is missing, a quoted one is text."""
    options = pa.csv.ConvertOptions(
        column_types={column: pa.string() for column in columns},
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    with _broken(name, *_CSV_BROKEN):
        reader = pa.csv.open_csv(
            source,
            read_options=pa.csv.ReadOptions(block_size=_CSV_BLOCK_BYTES),
            parse_options=pa.csv.ParseOptions(newlines_in_values=True),
            convert_options=options,
        )
        names = reader.schema.names
    return Raw(names, _guarded(iter(reader), name, *_CSV_BROKEN), texts=True)


def _guarded(
    batches: Iterator[pa.RecordBatch], name: str, what: str, hint: str = ""
) -> Iterator[pa.RecordBatch]:
    while True:
        with _broken(name, what, hint):
            batch = next(batches, None)
        if batch is None:
            return
        for start in range(0, batch.num_rows, BATCH_ROWS):
            yield batch.slice(start, BATCH_ROWS)


@contextmanager
def _csv(path: Path, name: str, columns: Sequence[str]) -> Iterator[Raw]:
    if path.stat().st_size == 0:
        raise TableError(f"table {name!r}: its file is empty.")
    yield csv_batches(path, name, columns)


@contextmanager
def _parquet(parts: list[Path], name: str) -> Iterator[Raw]:
    broken = "its Parquet files are broken or cut off."
    if not parts:
        raise TableError(f"table {name!r}: its folder holds no .parquet file.")
    files: list[pa.parquet.ParquetFile] = []
    try:
        with _broken(name, broken):
            for part in parts:
                files.append(  # closed below even if a later one does not open
                    pa.parquet.ParquetFile(part, buffer_size=_BUFFER_BYTES, pre_buffer=False)
                )
        names = files[0].schema_arrow.names
        if any(file.schema_arrow.names != names for file in files):
            raise TableError(f"table {name!r}: its parts do not all have the same columns.")
        batches = (batch for file in files for batch in file.iter_batches(BATCH_ROWS))
        yield Raw(names, _guarded(batches, name, broken))
    finally:
        for file in files:
            file.close()


@contextmanager
def _ipc(path: Path, name: str) -> Iterator[Raw]:
    broken = "its Arrow file is broken or cut off."
    with _broken(name, broken):
        mapped = pa.memory_map(str(path))
    with mapped:
        try:
            file = pa.ipc.open_file(mapped)
            batches = (file.get_batch(place) for place in range(file.num_record_batches))
            schema = file.schema
        except pa.ArrowInvalid:
            mapped.seek(0)
            with _broken(name, broken):
                stream = pa.ipc.open_stream(mapped)
            batches, schema = iter(stream), stream.schema
        yield Raw(schema.names, _guarded(batches, name, broken))


@contextmanager
def _duckdb(path: Path, name: str) -> Iterator[Raw]:
    config = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    with _broken(name, _DUCKDB_BROKEN, _DUCKDB_HINT):
        connection = duckdb.connect(str(path), read_only=True, config=config)
    try:
        with _broken(name, _DUCKDB_BROKEN, _DUCKDB_HINT):
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("SET enable_external_access = false")
        with duckdb_rows(connection, name) as raw:
            yield raw
    finally:
        connection.close()


@contextmanager
def duckdb_rows(connection: duckdb.DuckDBPyConnection, name: str) -> Iterator[Raw]:
    """Open a table of an open DuckDB database. Raises TableError; the stream does, too."""
    with _broken(name, _DUCKDB_BROKEN, _DUCKDB_HINT):
        reader = connection.sql(f"SELECT * FROM {relation(name)}").to_arrow_reader(  # noqa: S608
            BATCH_ROWS
        )
    yield Raw(reader.schema.names, _guarded(iter(reader), name, _DUCKDB_BROKEN, _DUCKDB_HINT))


def relation(name: str) -> str:
    """Return `schema.table` or `table`, each part in quotes."""
    return ".".join(quoted(part) for part in name.split("."))
