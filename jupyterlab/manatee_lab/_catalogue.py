"""Data sets as a person chooses one: columns, promise, first rows of the twin."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from manatee.client import ManateeClient
from manatee.contracts import Column, Contract, parse_contract
from manatee.errors import ManateeError
from manatee.records import CatalogueEntry

SAMPLE_ROWS = 5


def dataset_answer(client: ManateeClient, entry: CatalogueEntry) -> dict[str, Any]:
    """Return one data set of the catalogue for the panel."""
    publication = entry.publication
    dataset = publication.dataset
    contract = _contract(publication.contract)
    columns = contract.tables[0].columns if contract and contract.tables else ()
    return {
        "name": dataset.name,
        "version": entry.version,
        "provider": dataset.provider,
        "label": dataset.label,
        "columns": [_column(column) for column in columns],
        "privacy": list(_promise(publication.privacy_statement)),
        "sample": _sample(client, entry, [column.name for column in columns]),
        "snippet": (
            f'import manatee\n\n{_variable(dataset.name)} = manatee.dataset("{dataset.name}")'
            ".to_table().to_pandas()"
        ),
        "has_report": publication.report is not None,
    }


def _contract(text: str) -> Contract | None:
    try:
        return parse_contract(text.encode())
    except ManateeError:
        return None  # a provider's contract of a later form: everything else can still be shown


def _column(column: Column) -> dict[str, str]:
    kind = f"{column.type}, {column.unit}" if column.unit else column.type
    if column.minimum is not None and column.maximum is not None:
        kind += f", {column.minimum:g} to {column.maximum:g}"
    if column.categories:
        kind += f": {', '.join(column.categories[:8])}"
        kind += ", …" if len(column.categories) > 8 else ""
    return {"name": column.name, "type": kind, "description": column.description}


def _promise(statement: dict[str, Any]) -> Sequence[str]:
    epsilon, delta = statement.get("epsilon"), statement.get("delta")
    lines = []
    if isinstance(epsilon, int | float) and isinstance(delta, int | float):
        small = f"{delta:g}".replace("e-0", "e-")
        lines.append(f"The twin is differentially private: epsilon {epsilon:g}, delta {small}.")
    budget = statement.get("budget")
    if isinstance(budget, dict) and isinstance(budget.get("limit_epsilon"), int | float):
        lines.append(
            f"All releases about this data set may spend epsilon {budget['limit_epsilon']:g}."
        )
    return lines


def _sample(client: ManateeClient, entry: CatalogueEntry, columns: list[str]) -> list[list[Any]]:
    """Return the twin's first rows; none where it has no table that can be read."""
    import pyarrow as pa
    import pyarrow.dataset

    with tempfile.TemporaryDirectory(prefix="manatee-") as scratch:
        paths = [path for path in client.download_twin(entry, Path(scratch))]
        tables = [path for path in paths if path.suffix == ".parquet"]
        try:
            rows = pa.dataset.dataset(tables[:1]).head(SAMPLE_ROWS).to_pylist() if tables else []
        except (pa.ArrowException, OSError):
            return []
    return [[_plain(row.get(name)) for name in columns] for row in rows]


def _plain(value: Any) -> str | int | float | bool | None:
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _variable(name: str) -> str:
    made = "".join(letter if letter.isalnum() else "_" for letter in name)
    return made if made.isidentifier() else f"data_{made}"
