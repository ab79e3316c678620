"""Reading a data contract, strictly: every refusal names line, column and rule."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import yaml

from manatee.contracts import _yaml as strict
from manatee.contracts._check import check_contract
from manatee.contracts._model import Constraint, Contract, ForeignKey, PrivacyUnit, Table
from manatee.contracts._parse_columns import MAX_COLUMNS, parse_columns
from manatee.errors import ContractError
from manatee.records import Label

FORMAT = "manatee-data-contract/2"
FIRST_FORMAT = "manatee-data-contract/1"
MAX_TABLES = 64
MAX_CONSTRAINTS = 200
MAX_ROWS_PER_PERSON = 10_000
"""Greatest contribution bound; noise grows in proportion to it."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_TABLE_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_ROOT = frozenset(
    {"format", "name", "label", "description", "version", "privacy_unit", "tables", "unreviewed"}
)
_FIRST_ROOT = frozenset({"format", "name", "label", "description", "privacy_unit", "columns"})
_TABLE = frozenset(
    {
        "name",
        "description",
        "rows",
        "key",
        "references",
        "max_rows_per_person",
        "columns",
        "constraints",
    }
)


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
        data: YAML, UTF-8, at most `MAX_YAML_BYTES`; of format 2, or the older format 1.

    Raises:
        ContractError: Not a contract, or one with lines that nobody has reviewed; names the
            place and the rule.
    """
    root = strict.parse_document(data)
    found = strict.members(root, _ROOT | _FIRST_ROOT, what="the contract")
    if "format" not in found:
        raise strict.refuse(root, "the contract misses 'format'.", hint=f"format: {FORMAT}")
    written = strict.text(found["format"], what="format")
    if written == FIRST_FORMAT:
        contract = _first(root, found)
    elif written == FORMAT:
        contract = _second(root, found)
    else:
        raise strict.refuse(found["format"], f"format must be {FORMAT}.")
    check_contract(contract, root)
    return contract


def _needs(root: yaml.Node, found: dict[str, yaml.Node], *names: str, what: str) -> None:
    for name in names:
        if name not in found:
            raise strict.refuse(root, f"{what} misses {name!r}.")


def _only(found: dict[str, yaml.Node], allowed: frozenset[str], written: str) -> None:
    for name, node in found.items():
        if name not in allowed:
            raise strict.refuse(node, f"a contract of format {written} has no {name!r}.")


def _head(found: dict[str, yaml.Node]) -> tuple[str, Label, str]:
    name = strict.text(found["name"], what="name", longest=63)
    if not _NAME.fullmatch(name):
        raise strict.refuse(found["name"], "name must be of a-z, 0-9, '.', '_' and '-'.")
    label = strict.text(found["label"], what="label")
    if label not in get_args(Label):
        raise strict.refuse(found["label"], "label must be real or synthetic.")
    description = found.get("description")
    about = strict.text(description, what="description") if description else ""
    return name, "real" if label == "real" else "synthetic", about


def _first(root: yaml.Node, found: dict[str, yaml.Node]) -> Contract:
    _only(found, _FIRST_ROOT, FIRST_FORMAT)
    _needs(root, found, "name", "label", "privacy_unit", "columns", what="the contract")
    name, label, description = _head(found)
    if strict.text(found["privacy_unit"], what="privacy_unit") != "row":
        raise strict.refuse(found["privacy_unit"], "privacy_unit must be row.")
    columns = parse_columns(found["columns"], first_format=True)
    table = re.sub(r"[.-]", "_", name) if name[0].isalpha() else "table"
    return Contract(name, label, (Table(table, columns),), description)


def _second(root: yaml.Node, found: dict[str, yaml.Node]) -> Contract:
    _only(found, _ROOT, FORMAT)
    _needs(root, found, "name", "label", "privacy_unit", "tables", what="the contract")
    name, label, description = _head(found)
    _reviewed(found.get("unreviewed"))
    version = 1
    if "version" in found:
        version = strict.integer(found["version"], what="version")
        if version < 1:
            raise strict.refuse(found["version"], "version must be 1 or more.")
    nodes = strict.items(found["tables"], what="tables")
    if not 1 <= len(nodes) <= MAX_TABLES:
        raise strict.refuse(found["tables"], f"tables must be 1 to {MAX_TABLES}.")
    tables = tuple(_table(node) for node in nodes)
    if sum(len(table.columns) for table in tables) > MAX_COLUMNS:
        raise strict.refuse(found["tables"], f"all tables have at most {MAX_COLUMNS} columns.")
    unit = _unit(found["privacy_unit"])
    return Contract(name, label, tables, description, version, unit)


def _reviewed(node: yaml.Node | None) -> None:
    if node is None:
        return
    lines = strict.items(node, what="unreviewed")
    if lines:
        first = strict.text(lines[0], what="an unreviewed line", longest=300)
        raise strict.refuse(
            lines[0],
            f"{first} was read off private values, and nobody has reviewed it.",
            hint="Write what is publicly known instead, or accept the line; then take it off the "
            "list `unreviewed`.",
        )


def _unit(node: yaml.Node) -> PrivacyUnit:
    if isinstance(node, yaml.ScalarNode):
        if strict.text(node, what="privacy_unit") != "row":
            raise strict.refuse(
                node, "privacy_unit must be row, or person with its table.", hint="person: TABLE"
            )
        return PrivacyUnit()
    found = strict.members(node, frozenset({"person"}), what="privacy_unit")
    _needs(node, found, "person", what="privacy_unit")
    return PrivacyUnit("person", strict.text(found["person"], what="person", longest=63))


def _table(node: yaml.Node) -> Table:
    found = strict.members(node, _TABLE, what="a table")
    _needs(node, found, "name", "columns", what="a table")
    name = strict.text(found["name"], what="a table's name", longest=63)
    if not _TABLE_NAME.fullmatch(name):
        raise strict.refuse(found["name"], "a table's name must be of a-z, 0-9 and '_'.")
    rows = strict.text(found["rows"], what="rows") if "rows" in found else "protected"
    if rows not in {"protected", "public"}:
        raise strict.refuse(found["rows"], "rows must be protected or public.")
    bound = None
    if "max_rows_per_person" in found:
        bound = strict.integer(found["max_rows_per_person"], what="max_rows_per_person")
        if not 1 <= bound <= MAX_ROWS_PER_PERSON:
            raise strict.refuse(
                found["max_rows_per_person"],
                f"max_rows_per_person must be 1 to {MAX_ROWS_PER_PERSON}.",
            )
    about = found.get("description")
    return Table(
        name=name,
        columns=parse_columns(found["columns"]),
        description=strict.text(about, what="description") if about else "",
        key=_names(found.get("key"), what="key"),
        references=_references(found.get("references")),
        constraints=_constraints(found.get("constraints")),
        max_rows_per_person=bound,
        rows="public" if rows == "public" else "protected",
    )


def _names(node: yaml.Node | None, *, what: str) -> tuple[str, ...]:
    if node is None:
        return ()
    nodes = strict.items(node, what=what)
    names = tuple(strict.text(item, what=f"a column of {what}", longest=100) for item in nodes)
    if not names or len(set(names)) != len(names):
        raise strict.refuse(node, f"{what} must name at least one column, each once.")
    return names


def _references(node: yaml.Node | None) -> tuple[ForeignKey, ...]:
    found = []
    for item in strict.items(node, what="references") if node is not None else []:
        parts = strict.members(item, frozenset({"columns", "table"}), what="a reference")
        _needs(item, parts, "columns", "table", what="a reference")
        table = strict.text(parts["table"], what="table", longest=63)
        found.append(ForeignKey(_names(parts["columns"], what="columns"), table))
    return tuple(found)


def _constraints(node: yaml.Node | None) -> tuple[Constraint, ...]:
    nodes = strict.items(node, what="constraints") if node is not None else []
    if node is not None and len(nodes) > MAX_CONSTRAINTS:
        raise strict.refuse(node, f"a table has at most {MAX_CONSTRAINTS} constraints.")
    found: list[Constraint] = []
    for item in nodes:
        parts = strict.members(item, frozenset({"name", "given", "check"}), what="a constraint")
        _needs(item, parts, "name", "check", what="a constraint")
        name = strict.text(parts["name"], what="a constraint's name", longest=100)
        if name in {other.name for other in found}:
            raise strict.refuse(parts["name"], f"constraint {name!r} is there twice.")
        given = strict.text(parts["given"], what="given") if "given" in parts else None
        found.append(Constraint(name, strict.text(parts["check"], what="check"), given))
    return tuple(found)
