"""Reading a table and holding it to its contract.

Errors name column and rule. They give no value and no number of rows: both are private.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from manatee.errors import SchemaMismatchError, TableError, TooLargeError
from manatee.provisioning._contract import Column, Contract, arrow_schema

MAX_ROWS = 10_000_000
"""Default cap of rows of a CSV table: it is held in memory."""

_BLOCK_BYTES = 1 << 22


def read_table(path: Path, contract: Contract, *, max_rows: int = MAX_ROWS) -> pa.Table:
    """Read a CSV file (UTF-8, header line, comma) as the contract's table.

    Args:
        path: The file. Columns may stand in any order; the result has the contract's.
        contract: What the table may hold.
        max_rows: Cap of rows.

    Raises:
        TableError: No file, not a CSV, or no row.
        TooLargeError: More than `max_rows` rows.
        SchemaMismatchError: A column is missing, added, twice there, or breaks a rule.
    """
    texts = _read_texts(path, contract, max_rows)
    _check_names(texts.column_names, contract)
    arrays = [_typed(texts[column.name], column) for column in contract.columns]
    table = pa.table(arrays, schema=arrow_schema(contract))
    check_table(table, contract)
    return table


def _read_texts(path: Path, contract: Contract, max_rows: int) -> pa.Table:
    names = {column.name: pa.string() for column in contract.columns}
    options = pa.csv.ConvertOptions(
        column_types=names,
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    batches: list[pa.RecordBatch] = []
    rows = 0
    try:
        if path.stat().st_size == 0:
            raise TableError("the table's file is empty.")
        with pa.csv.open_csv(
            path,
            read_options=pa.csv.ReadOptions(block_size=_BLOCK_BYTES),
            convert_options=options,
        ) as reader:
            _check_names(reader.schema.names, contract)
            for batch in reader:
                rows += batch.num_rows
                if rows > max_rows:
                    raise TooLargeError(f"the table has more than {max_rows} rows.")
                batches.append(batch)
            schema = reader.schema
    except OSError as error:
        raise TableError("the table's file cannot be read.") from error
    except (pa.ArrowException, UnicodeDecodeError):
        # The reader's own message quotes the line that it stumbled over.
        raise TableError(
            "not a CSV table: every line must have as many fields as the header.",
            hint="UTF-8, comma between fields, names in the first line.",
        ) from None
    if rows == 0:
        raise TableError("the table has no rows.")
    return pa.Table.from_batches(batches, schema)


def _check_names(found: list[str], contract: Contract) -> None:
    wanted = [column.name for column in contract.columns]
    missing = [name for name in wanted if name not in found]
    if missing:
        raise SchemaMismatchError(f"column {missing[0]!r} of the contract is missing.")
    if len(found) != len(wanted):
        # Which one is not said where it is no name of the contract: in a file without a header
        # line the "names" are the first person's values.
        twice = [name for name in wanted if found.count(name) > 1]
        what = f"column {twice[0]!r} is there twice" if twice else "the contract does not name all"
        raise SchemaMismatchError(f"{len(found)} columns where {len(wanted)} are named: {what}.")


_TEXT_RULES: dict[str, tuple[str, str]] = {
    "integer": (r"^-?[0-9]{1,18}$", "a whole number"),
    "decimal": (r"^-?[0-9]{1,18}(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?$", "a decimal number"),
    "boolean": (r"^(true|false)$", "true or false"),
}


def _typed(texts: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    if column.type == "category":
        return texts
    pattern, rule = _TEXT_RULES[column.type]
    if not _all(pc.match_substring_regex(texts, pattern)):
        raise SchemaMismatchError(f"column {column.name!r} holds what is not {rule}.")
    kind = {"integer": pa.int64(), "decimal": pa.float64(), "boolean": pa.bool_()}[column.type]
    return texts.cast(kind)


def _all(flags: pa.ChunkedArray) -> bool:
    return pc.all(flags, min_count=0).as_py() is not False


def check_table(table: pa.Table, contract: Contract) -> None:
    """Hold a table to its contract, column by column.

    Raises:
        TableError: The table has no rows.
        SchemaMismatchError: Another schema, or a rule broken. Names the first column and rule.
    """
    if not table.schema.equals(arrow_schema(contract), check_metadata=False):
        raise SchemaMismatchError("the table's columns or types are not the contract's.")
    if table.num_rows == 0:
        raise TableError("the table has no rows.")
    for column in contract.columns:
        values = table[column.name]
        if values.null_count and not column.nullable:
            raise SchemaMismatchError(f"column {column.name!r} may not miss values.")
        if column.type == "boolean":
            continue
        rule, holds = _RULES[column.type](column)
        if not _all(holds(values)):
            raise SchemaMismatchError(f"column {column.name!r} holds a value {rule}.")


Rule = tuple[str, Callable[[pa.ChunkedArray], pa.ChunkedArray]]


def _in_range(column: Column) -> Rule:
    def holds(values: pa.ChunkedArray) -> pa.ChunkedArray:
        low = pc.greater_equal(values, column.minimum)
        return pc.and_(low, pc.less_equal(values, column.maximum))

    return "out of its range", holds


def _known(column: Column) -> Rule:
    known = pa.array(column.categories, pa.string())
    return "outside its categories", lambda values: pc.or_(
        pc.is_in(values, known), pc.is_null(values)
    )


_RULES: dict[str, Callable[[Column], Rule]] = {
    "integer": _in_range,
    "decimal": _in_range,
    "category": _known,
}
