"""A provider's tables, held to their contract, as typed streams.

Opening a source reads every table once, checks each batch, and puts what was admitted into
Parquet files in a folder of its own that only this user may read. What is streamed later is what
was checked, even if the provider's file changes meanwhile. Closing removes the folder.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from manatee.contracts import Contract, Table, arrow_schema, check_contract, kept
from manatee.errors import ProvisioningError, SchemaMismatchError, TableError
from manatee.provisioning.tables._across import check_across
from manatee.provisioning.tables._columns import check_columns
from manatee.provisioning.tables._in_place import CountedTable
from manatee.provisioning.tables._postgresql import connect, open_table
from manatee.provisioning.tables._readers import BATCH_ROWS, Raw, open_file
from manatee.provisioning.tables._rules import settle
from manatee.provisioning.tables._types import from_text, from_typed

_GROUP_ROWS = 1 << 18


class AdmittedTable:
    """One table that keeps to its contract."""

    def __init__(self, table: Table, path: Path) -> None:
        self.table = table
        self.path = path
        self.schema: pa.Schema = arrow_schema(table)

    def batches(self, columns: Iterable[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows as record batches of the contract's schema; may be called again.

        Args:
            columns: Only these; None for all.
        """
        schema = self.schema
        if columns is not None:
            schema = pa.schema([schema.field(name) for name in columns])
        with pa.parquet.ParquetFile(self.path, pre_buffer=False, buffer_size=1 << 20) as file:
            for batch in file.iter_batches(BATCH_ROWS, columns=schema.names):
                found = [batch[field.name].cast(field.type) for field in schema]
                yield pa.RecordBatch.from_arrays(found, schema=schema)

    def read(self) -> pa.Table:
        """Return the whole table; it must fit into memory."""
        return pa.Table.from_batches(self.batches(), self.schema)


class Source:
    """Checked tables of one contract; closing it forgets them."""

    def __init__(self, contract: Contract, tables: Mapping[str, AdmittedTable], folder: Path):
        self.contract = contract
        self._tables = dict(tables)
        self._folder = folder

    def table(self, name: str) -> AdmittedTable:
        """Return a table. Raises KeyError."""
        return self._tables[name]

    @property
    def names(self) -> tuple[str, ...]:
        """The tables, in the contract's order."""
        return tuple(self._tables)

    def close(self) -> None:
        """Remove the admitted files. May be called twice."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_source(
    where: Mapping[str, Path] | str | CountedTable,
    contract: Contract,
    *,
    names: Mapping[str, str] | None = None,
    folder: Path | None = None,
    truncation_key: bytes | None = None,
) -> Source:
    """Read tables and hold them to their contract; memory does not grow with their rows.

    Args:
        contract: What the tables may hold.
        where: A file, or folder of Parquet parts, for each table; or the DSN of a PostgreSQL
            server; or the contract's only table, already open in its database. Columns may stand
            in any order; the result has the contract's.
        names: Tables whose name in a database is another one: `table` or `schema.table`.
        folder: Where the admitted files lie; None for the system's temporary folder.
        truncation_key: 32 bytes that steer which rows of a person beyond the contribution bound
            are left out; None for new ones. See `check_across`.

    Raises:
        TableError: A table cannot be read, or has no row.
        SchemaMismatchError: A rule is broken. Names table, column and rule.
        ProvisioningError: The disk is full.
    """
    check_contract(contract)
    if not isinstance(where, str | CountedTable):
        _check_names(where, contract)
    own = Path(tempfile.mkdtemp(prefix="manatee-tables-", dir=folder))
    try:
        with ExitStack() as stack:
            open_raw = _opener(where, names or {}, stack)
            files = {}
            for place, table in enumerate(contract.tables):
                if isinstance(where, str | CountedTable) or table.name in where:
                    files[table.name] = own / f"{place}.parquet"
                    with open_raw(table) as raw:
                        _admit(raw, table, files[table.name])
        key = truncation_key or secrets.token_bytes(32)
        settled = check_across(contract, files, own, truncation_key=key)
    except OSError as error:
        shutil.rmtree(own, ignore_errors=True)
        raise ProvisioningError(
            "the admitted tables cannot be written.", hint="Free space in the temporary folder."
        ) from error
    except BaseException:
        shutil.rmtree(own, ignore_errors=True)
        raise
    found = {name: AdmittedTable(contract.table(name), path) for name, path in settled.items()}
    return Source(contract, found, own)


def _check_names(where: Mapping[str, Path], contract: Contract) -> None:
    unknown = sorted(set(where) - {table.name for table in contract.tables})
    if unknown or not where:
        what = f"has no table {unknown[0]!r}" if unknown else "was given no table"
        raise TableError(f"contract {contract.name!r} {what}.")


def _opener(
    where: Mapping[str, Path] | str | CountedTable, names: Mapping[str, str], stack: ExitStack
) -> Any:
    if isinstance(where, CountedTable):
        return lambda _table: where.rows()
    if isinstance(where, str):
        connection = stack.enter_context(connect(where))
        return lambda table: open_table(connection, names.get(table.name, table.name), table)

    def opened(table: Table) -> AbstractContextManager[Raw]:
        columns = [column.name for column in table.columns]
        return open_file(where[table.name], names.get(table.name, table.name), columns)

    return opened


def _admit(raw: Raw, table: Table, path: Path) -> None:
    """Check a raw table and write what was admitted."""
    check_columns(raw.names, table)
    typed = (typed_batch(batch, table, texts=raw.texts) for batch in raw.batches)
    if not write_parquet((batch for batch in typed if batch.num_rows), table, path):
        raise TableError(f"table {table.name!r} has no rows.")


def write_parquet(batches: Iterable[pa.RecordBatch], table: Table, path: Path) -> bool:
    """Write batches of the contract's schema as one Parquet file, whole or not at all.

    Returns:
        Whether there was any batch; there is no file if not.
    """
    schema = arrow_schema(table)
    partial = path.with_name(f".{path.name}.partial")
    waiting: list[pa.RecordBatch] = []
    any_row = False
    try:
        with pa.parquet.ParquetWriter(
            partial, schema, compression="zstd", compression_level=1
        ) as to:
            for batch in batches:
                any_row = True
                waiting.append(batch)
                if sum(part.num_rows for part in waiting) >= _GROUP_ROWS:
                    to.write_table(pa.Table.from_batches(waiting, schema))
                    waiting.clear()
            if waiting:
                to.write_table(pa.Table.from_batches(waiting, schema))
        if any_row:
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return any_row


def typed_batch(batch: pa.RecordBatch, table: Table, *, texts: bool = False) -> pa.RecordBatch:
    """Return a batch of a source in the contract's schema, every rule of a row checked.

    Raises:
        SchemaMismatchError: A rule is broken. Names table, column and rule.
    """
    if texts:
        _check_no_header(batch, table)
    parse = from_text if texts else from_typed
    arrays = [
        settle(parse(batch[column.name], column, table.name), column, table.name)
        for column in table.columns
    ]
    found = pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(table))
    if table.constraints:
        rows = pa.Table.from_batches([found])
        for constraint in table.constraints:
            if not kept(constraint, table, rows).all():
                raise SchemaMismatchError(
                    f"table {table.name!r}: a row breaks the constraint {constraint.name!r}."
                )
    return found


def _check_no_header(batch: pa.RecordBatch, table: Table) -> None:
    """Refuse a header line among the rows: with `other` it would pass for a person."""
    rows = pc.equal(batch[table.columns[0].name], table.columns[0].name)
    for column in table.columns[1:]:
        if not pc.any(rows, min_count=0).as_py():
            return
        rows = pc.and_(rows, pc.equal(batch[column.name], column.name))
    if pc.any(rows, min_count=0).as_py():
        raise TableError(f"table {table.name!r}: its header line is there twice.")
