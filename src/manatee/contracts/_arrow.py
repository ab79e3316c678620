"""The Arrow schema that a private table and its twin share, and digests of contracts."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import pyarrow as pa

from manatee.contracts._model import Column, Contract, Table
from manatee.errors import ContractError
from manatee.records import Digest, digest_record

MAX_DIGITS = 38

_FIXED: dict[str, pa.DataType] = {
    "integer": pa.int64(),
    "float": pa.float64(),
    "category": pa.string(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "text": pa.string(),
}


def arrow_type(column: Column) -> pa.DataType:
    """Return the Arrow type of a column's values.

    Raises:
        ContractError: A decimal of more than 38 digits.
    """
    if column.type == "identifier":
        return pa.int64() if column.holds == "integer" else pa.string()
    if column.type != "decimal":
        return _FIXED[column.type]
    largest = max(abs(column.minimum or 0), abs(column.maximum or 0), 1)
    digits = math.floor(math.log10(largest)) + 2 + column.decimals
    if digits > MAX_DIGITS:
        raise ContractError(
            f"column {column.name!r} needs {digits} digits; decimals have at most {MAX_DIGITS}.",
            hint="Use the type float, or a smaller range.",
        )
    return pa.decimal128(digits, column.decimals)


def arrow_schema(table: Table) -> pa.Schema:
    """Return the schema of a table: names, types, nullability, and categories in their order.

    Categories stand in the field's metadata (`categories`, JSON), where Parquet keeps them.
    """
    fields = []
    for column in table.columns:
        about = None
        if column.type == "category":
            about = {b"categories": json.dumps(column.categories, ensure_ascii=False).encode()}
        fields.append(pa.field(column.name, arrow_type(column), column.nullable, about))
    return pa.schema(fields)


def schema_digest(table: Table) -> Digest:
    """Return the digest of names, types, nullability and categories, in order."""
    return digest_record(
        [
            [column.name, str(arrow_type(column)), column.nullable, list(column.categories)]
            for column in table.columns
        ]
    )


def contract_digest(contract: Contract) -> Digest:
    """Return the digest of everything the contract says, however it was written down."""
    return digest_record({"format": 2, **asdict(contract)})
