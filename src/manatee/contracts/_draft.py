"""A draft of a contract: names and types of tables, and the provider's own answers.

A value is read only where the provider asks for it, and every member that came from one stands in
`unreviewed`, with which no reader takes the contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
import yaml

from manatee.contracts._parse import FORMAT
from manatee.errors import ContractError, TableError

MAX_DRAFT_CATEGORIES = 50
"""Most different texts of a column that is drafted as a category."""

_ADVICE = """\
# Everything below `unreviewed` was read off private values. For each line: write what is publicly
# known instead (round numbers, the range that the field allows, an official list of categories),
# then take the line off the list. Until the list is empty no command reads this contract.
"""

Answers = Mapping[str, Any]


def draft_text(
    paths: Mapping[str, Path], answers: Answers, *, name: str, read_values: bool = False
) -> str:
    """Return a draft in YAML.

    Without `read_values` nothing but a Parquet file's schema or a CSV file's header is read: a
    CSV file's types are in its values. What is then neither read nor answered is left out, and
    `parse_contract` says where.

    Args:
        paths: The file of each table, CSV or Parquet.
        answers: Members by their place, as in `tables.people.columns.age.range`.
        name: The contract's name.
        read_values: Propose types, ranges, categories, lengths and nullability from the values.

    Raises:
        TableError: A file cannot be read.
        ContractError: An answer names no place of the draft.
    """
    left, unreviewed = dict(answers), list[str]()
    tables = []
    for table, path in paths.items():
        place = f"tables.{table}"
        columns = []
        values = _open(path, values=read_values)
        for field in values.schema:
            own = f"{place}.columns.{field.name}"
            said = _take(left, own)
            column = {"name": field.name, **_type(field.type), **said}
            if read_values:
                read = _read(values[field.name], column, typed=path.suffix != ".parquet")
                read = {member: value for member, value in read.items() if member not in said}
                unreviewed += [f"{own}.{member}" for member in read]
                column |= read
            columns.append(column)
        tables.append({"name": table, **_take(left, place), "columns": columns})
    root = {"format": FORMAT, "name": name, "label": "real", "privacy_unit": "row"}
    root |= {member: left.pop(member) for member in list(left) if "." not in member}
    if left:
        raise ContractError(f"the answer {next(iter(left))!r} names no place of the draft.")
    if unreviewed:
        root["unreviewed"] = unreviewed  # type: ignore[assignment]
    text = yaml.safe_dump({**root, "tables": tables}, sort_keys=False, allow_unicode=True)
    return (_ADVICE if unreviewed else "") + str(text)


def drafted_columns(path: Path) -> list[tuple[str, str | None]]:
    """Return a table's columns and the types that its file tells without a value being read.

    Raises:
        TableError: The file cannot be read.
    """
    schema = _open(path, values=False).schema
    return [(field.name, _type(field.type).get("type")) for field in schema]


def _take(answers: dict[str, Any], place: str) -> dict[str, Any]:
    members = [key for key in answers if key.rpartition(".")[0] == place]
    return {key.rpartition(".")[2]: answers.pop(key) for key in members}


def _open(path: Path, *, values: bool) -> pa.Table:
    try:
        if path.suffix == ".parquet":
            if values:
                return pa.parquet.read_table(path)
            return pa.parquet.read_schema(path).empty_table()
        if values:
            return pa.csv.read_csv(path)
        with path.open("rb") as stream:
            header = stream.readline(1 << 20)
        names = pa.csv.read_csv(pa.BufferReader(header)).column_names
        return pa.schema([pa.field(item, pa.null()) for item in names]).empty_table()
    except (OSError, pa.ArrowException, UnicodeDecodeError):
        # The reader's own message quotes the line that it stumbled over.
        raise TableError(f"the file of table {path.stem!r} is no CSV or Parquet table.") from None


def _type(kind: pa.DataType) -> dict[str, Any]:
    if pa.types.is_decimal(kind):
        return {"type": "decimal", "decimals": kind.scale}
    for test, name in (
        (pa.types.is_integer, "integer"),
        (pa.types.is_floating, "float"),
        (pa.types.is_boolean, "boolean"),
        (pa.types.is_date, "date"),
        (pa.types.is_timestamp, "timestamp"),
        (pa.types.is_string, "text"),
    ):
        if test(kind):
            return {"type": name}
    return {}


def _read(values: pa.ChunkedArray, column: dict[str, Any], *, typed: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    kind = column.get("type")
    if typed and kind:
        found["type"] = kind
    if values.null_count:
        found["nullable"] = True
    if kind in {"integer", "float", "decimal", "date", "timestamp"}:
        limits = pc.min_max(values).as_py()
        found["range"] = [_limit(limits["min"]), _limit(limits["max"])]
    elif kind == "category" or (kind == "text" and "max_length" not in column):
        texts = sorted(str(text) for text in pc.unique(values).drop_null().to_pylist())
        if kind == "category" or len(texts) <= MAX_DRAFT_CATEGORIES:
            found |= {"type": "category", "categories": texts}
        else:
            found["max_length"] = max(map(len, texts))
    return found


def _limit(value: Any) -> Any:
    if hasattr(value, "tzinfo") and hasattr(value, "hour"):
        whole = value.replace(microsecond=0, tzinfo=None).isoformat()
        return f"{whole}Z"
    return float(value) if not isinstance(value, int) and hasattr(value, "as_tuple") else value
