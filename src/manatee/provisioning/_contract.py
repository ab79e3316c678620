"""The data contract: what a table is allowed to hold, agreed before anyone looks at it.

Everything that provisioning may assume about a table without spending privacy budget stands
here: columns, ranges, categories, bins. Nothing of it is ever read off the private table. A
column type is one class below `_COLUMN_TYPES`; a new type is one more entry there.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import pyarrow as pa
import yaml

from manatee.errors import ContractError
from manatee.provisioning import _yaml as strict
from manatee.records import Digest, Label, digest_record

FORMAT = "manatee-data-contract/1"
MAX_COLUMNS = 512
MAX_CATEGORIES = 1000
MAX_BINS = 1000
DEFAULT_BINS = 16
"""Equal-width bins of a numeric column whose contract names no number."""

ColumnType = Literal["integer", "decimal", "category", "boolean"]
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")

_COMMON = frozenset({"name", "type", "description", "nullable"})
_NUMERIC = _COMMON | {"unit", "range", "bins"}
_MEMBERS: dict[str, frozenset[str]] = {
    "integer": _NUMERIC,
    "decimal": _NUMERIC | {"decimals"},
    "category": _COMMON | {"categories"},
    "boolean": _COMMON,
}
_ARROW: dict[str, pa.DataType] = {
    "integer": pa.int64(),
    "decimal": pa.float64(),
    "category": pa.string(),
    "boolean": pa.bool_(),
}


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        minimum: Least allowed value, in `unit`; None unless numeric.
        maximum: Greatest allowed value, in `unit`; None unless numeric.
        bins: Equal-width bins of [minimum, maximum] that a twin is measured on.
        decimals: Decimal places that a twin's values are rounded to.
        categories: The allowed values, in order; empty unless a category.
        nullable: Whether a value may be missing.
    """

    name: str
    type: ColumnType
    description: str = ""
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    bins: int | None = None
    decimals: int = 0
    categories: tuple[str, ...] = ()
    nullable: bool = False

    @property
    def numeric(self) -> bool:
        """Whether values are numbers within a range."""
        return self.minimum is not None


@dataclass(frozen=True)
class Contract:
    """A parsed data contract.

    Attributes:
        privacy_unit: `row`: a person has at most one row.
        label: `real` for data about people who exist, else `synthetic`.
    """

    name: str
    label: Label
    columns: tuple[Column, ...]
    description: str = ""
    privacy_unit: Literal["row"] = "row"


def read_contract(path: Path) -> Contract:
    """Read a contract from a file. Raises as `parse_contract`, also for an unreadable file."""
    try:
        with path.open("rb") as stream:
            data = stream.read(strict.MAX_YAML_BYTES + 1)
    except OSError as error:
        raise ContractError("the contract's file cannot be read.") from error
    return parse_contract(data)


def parse_contract(data: bytes) -> Contract:
    """Parse a contract, strictly.

    Args:
        data: YAML, UTF-8, at most `MAX_YAML_BYTES`.

    Raises:
        ContractError: Not a contract; names the line and the rule.
    """
    root = strict.parse_document(data)
    allowed = frozenset({"format", "name", "label", "description", "privacy_unit", "columns"})
    found = strict.members(root, allowed, what="the contract")
    for name in ("format", "name", "label", "privacy_unit", "columns"):
        if name not in found:
            raise strict.refuse(root, f"the contract misses {name!r}.")
    if strict.text(found["format"], what="format") != FORMAT:
        raise strict.refuse(found["format"], f"format must be {FORMAT}.")
    name = strict.text(found["name"], what="name", longest=63)
    if not _NAME.fullmatch(name):
        raise strict.refuse(found["name"], "name must be of a-z, 0-9, '.', '_' and '-'.")
    label = strict.text(found["label"], what="label")
    if label not in get_args(Label):
        raise strict.refuse(found["label"], "label must be real or synthetic.")
    if strict.text(found["privacy_unit"], what="privacy_unit") != "row":
        raise strict.refuse(found["privacy_unit"], "privacy_unit must be row.")
    description = found.get("description")
    return Contract(
        name=name,
        label="real" if label == "real" else "synthetic",
        columns=_columns(found["columns"]),
        description=strict.text(description, what="description") if description else "",
    )


def _columns(node: yaml.Node) -> tuple[Column, ...]:
    nodes = strict.items(node, what="columns")
    if not 1 <= len(nodes) <= MAX_COLUMNS:
        raise strict.refuse(node, f"columns must be 1 to {MAX_COLUMNS}.")
    columns: list[Column] = []
    for item in nodes:
        column = _column(item)
        if column.name in {other.name for other in columns}:
            raise strict.refuse(item, f"column {column.name!r} is there twice.")
        columns.append(column)
    return tuple(columns)


def _column(node: yaml.Node) -> Column:
    found = strict.members(node, frozenset().union(*_MEMBERS.values()), what="a column")
    for member in ("name", "type"):
        if member not in found:
            raise strict.refuse(node, f"a column misses {member!r}.")
    name = strict.text(found["name"], what="a column's name", longest=100)
    kind = strict.text(found["type"], what="type")
    if kind not in _MEMBERS:
        raise strict.refuse(found["type"], f"type must be one of {', '.join(_MEMBERS)}.")
    for member, value in found.items():
        if member not in _MEMBERS[kind]:
            raise strict.refuse(value, f"a column of type {kind} has no {member!r}.")
    column = Column(
        name=name,
        type=kind,  # type: ignore[arg-type]  # checked against the same names above
        description=_optional_text(found, "description"),
        nullable="nullable" in found and strict.boolean(found["nullable"], what="nullable"),
    )
    if kind == "category":
        return _category(node, found, column)
    return column if kind == "boolean" else _numeric(node, found, column)


def _optional_text(found: dict[str, yaml.Node], member: str) -> str:
    return strict.text(found[member], what=member) if member in found else ""


def _category(node: yaml.Node, found: dict[str, yaml.Node], column: Column) -> Column:
    if "categories" not in found:
        raise strict.refuse(node, f"column {column.name!r} misses 'categories'.")
    nodes = strict.items(found["categories"], what="categories")
    values = tuple(strict.text(item, what="a category", longest=200) for item in nodes)
    if not 1 <= len(values) <= MAX_CATEGORIES or len(set(values)) != len(values):
        raise strict.refuse(
            found["categories"], f"categories must be 1 to {MAX_CATEGORIES}, each named once."
        )
    return replace(column, categories=values)


def _numeric(node: yaml.Node, found: dict[str, yaml.Node], column: Column) -> Column:
    if "range" not in found:
        raise strict.refuse(node, f"column {column.name!r} misses 'range'.")
    limits = strict.items(found["range"], what="range")
    if len(limits) != 2:
        raise strict.refuse(found["range"], "range must be [minimum, maximum].")
    read = strict.integer if column.type == "integer" else strict.number
    low, high = (read(limit, what="a limit of the range") for limit in limits)
    if not low < high:
        raise strict.refuse(found["range"], "range must go from the lesser to the greater.")
    bins = DEFAULT_BINS
    if "bins" in found:
        bins = strict.integer(found["bins"], what="bins")
        if not 1 <= bins <= MAX_BINS:
            raise strict.refuse(found["bins"], f"bins must be 1 to {MAX_BINS}.")
    if column.type == "integer":
        bins = min(bins, int(high - low) + 1)
    decimals = 0
    if column.type == "decimal":
        decimals = strict.integer(found["decimals"], what="decimals") if "decimals" in found else 2
        if not 0 <= decimals <= 9:
            raise strict.refuse(found["decimals"], "decimals must be 0 to 9.")
    unit = _optional_text(found, "unit")
    return replace(column, minimum=low, maximum=high, bins=bins, decimals=decimals, unit=unit)


def arrow_schema(contract: Contract) -> pa.Schema:
    """Return the Arrow schema that the table and its twin share, without metadata."""
    return pa.schema(
        [
            pa.field(column.name, _ARROW[column.type], nullable=column.nullable)
            for column in contract.columns
        ]
    )


def schema_digest(contract: Contract) -> Digest:
    """Return the digest of names, Arrow types and nullability, in order."""
    return digest_record(
        [[field.name, str(field.type), field.nullable] for field in arrow_schema(contract)]
    )


def contract_digest(contract: Contract) -> Digest:
    """Return the digest of everything the contract says, however it was written down."""
    return digest_record({"format": FORMAT, **asdict(contract)})
