"""Writing a contract back to YAML: what `parse_contract` reads as the same contract."""

from __future__ import annotations

from typing import Any

import yaml

from manatee.contracts._lines import show
from manatee.contracts._model import Column, Contract, Table
from manatee.contracts._parse import FORMAT


def contract_text(contract: Contract) -> str:
    """Return a contract as YAML of format 2; `parse_contract` gives the same contract again."""
    unit = contract.privacy_unit
    found: dict[str, Any] = {"format": FORMAT, "name": contract.name, "label": contract.label}
    found |= _said(description=contract.description)
    found["version"] = contract.version
    found["privacy_unit"] = "row" if unit.kind == "row" else {"person": unit.table}
    found["tables"] = [_table(table) for table in contract.tables]
    return str(yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=100))


def _said(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value}


def _table(table: Table) -> dict[str, Any]:
    return {
        "name": table.name,
        **_said(description=table.description),
        "rows": table.rows,
        **_said(
            key=list(table.key),
            references=[
                {"columns": list(reference.columns), "table": reference.table}
                for reference in table.references
            ],
            max_rows_per_person=table.max_rows_per_person,
        ),
        "columns": [_column(column) for column in table.columns],
        **_said(
            constraints=[
                {"name": rule.name, **_said(given=rule.given), "check": rule.text}
                for rule in table.constraints
            ]
        ),
    }


def _column(column: Column) -> dict[str, Any]:
    found: dict[str, Any] = {"name": column.name, "type": column.type}
    found |= _said(description=column.description, unit=column.unit)
    if column.numeric:
        found["range"] = [_limit(column.minimum, column), _limit(column.maximum, column)]
        found["bins"] = column.bins
    if column.type in {"decimal", "float"}:
        found["decimals"] = column.decimals
    if column.type == "category":
        found["categories"] = list(column.categories)
        found |= _said(other=column.other)
    if column.type == "identifier":
        found["holds"] = column.holds
    found |= _said(max_length=column.max_length, nullable=column.nullable)
    if column.sensitivity != "none":
        found["sensitivity"] = column.sensitivity
    return found


class _Plain(float):
    """A number that is written without an exponent, which the reader refuses."""


def _plain(dumper: yaml.SafeDumper, number: _Plain) -> yaml.ScalarNode:
    written = f"{float(number):.20f}".rstrip("0")
    exact = written if float(written) == number else f"{float(number)!r}"
    return dumper.represent_scalar(
        "tag:yaml.org,2002:float", f"{exact}0" if exact[-1] == "." else exact
    )


yaml.SafeDumper.add_representer(_Plain, _plain)


def _limit(number: float | None, column: Column) -> Any:
    value = number or 0.0
    if column.type in {"date", "timestamp"}:
        return show(value, column)
    return int(value) if column.type == "integer" else _Plain(value)
