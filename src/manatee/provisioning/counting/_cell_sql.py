"""The cell of a value as SQL text, made from the contract alone; equal to `contracts.encode`."""

from __future__ import annotations

from typing import Literal

from manatee.contracts import Column, edges, literal, n_values, quoted
from manatee.provisioning.counting._interface import Merge

Dialect = Literal["duckdb", "postgresql"]


def cell_sql(column: Column, dialect: Dialect, merge: Merge | None = None) -> str:
    """Return an expression for a row's cell, a small whole number that is never missing.

    It holds nothing but what the contract says: names and texts are quoted, numbers come out of
    Python floats. A missing value of a column that may miss none falls into cell 0, as it does
    in `contracts.encode`.

    Args:
        column: Whose cell.
        dialect: Of which engine.
        merge: The merged cell of each cell; None to leave them as they are.
    """
    name = quoted(column.name)
    missing = n_values(column) if column.nullable else 0
    if column.type == "category":
        found = _category(name, column, merge)
    elif column.type == "boolean":
        found = f"CASE WHEN {name} THEN {_merged(1, merge)} ELSE {_merged(0, merge)} END"
    else:
        limits = [float(edge) for edge in edges(column)[1:-1]]
        number = line_sql(column)
        if dialect == "postgresql" and merge is None and limits:
            listed = ",".join(repr(edge) for edge in limits)
            found = f"width_bucket({number}, CAST('{{{listed}}}' AS DOUBLE PRECISION[]))"
        else:
            found = _tree(number, limits, _runs(len(limits) + 1, merge))
    whole = "SMALLINT" if n_values(column) < 1 << 15 else "INTEGER"
    return (
        f"CAST(CASE WHEN {name} IS NULL THEN {_merged(missing, merge)} ELSE {found} END AS {whole})"
    )


def _merged(cell: int, merge: Merge | None) -> int:
    return cell if merge is None else int(merge[cell])


def _category(name: str, column: Column, merge: Merge | None) -> str:
    """Map one list of texts per merged cell; the rest is `other`, or cell 0."""
    rest = _merged(0 if column.other is None else column.categories.index(column.other), merge)
    lists: dict[int, list[str]] = {}
    for cell, value in enumerate(column.categories):
        lists.setdefault(_merged(cell, merge), []).append(literal(value))
    lists.pop(rest, None)
    if not lists:
        return str(rest)
    text = f"CAST({name} AS VARCHAR)"
    arms = " ".join(
        f"WHEN {text} IN ({', '.join(values)}) THEN {cell}" for cell, values in lists.items()
    )
    return f"CASE {arms} ELSE {rest} END"


def line_sql(column: Column) -> str:
    """Return an expression for a numeric column's place on its line: see `Column`."""
    name = quoted(column.name)
    if column.type == "date":
        return f"CAST({name} - DATE '1970-01-01' AS DOUBLE PRECISION)"
    if column.type == "timestamp":
        return f"CAST(EXTRACT(EPOCH FROM {name}) AS DOUBLE PRECISION)"
    return f"CAST({name} AS DOUBLE PRECISION)"


def _runs(n_cells: int, merge: Merge | None) -> list[tuple[int, int]]:
    """Return (first cell, merged cell) of each run of neighbours that are merged."""
    runs: list[tuple[int, int]] = []
    for cell in range(n_cells):
        merged = _merged(cell, merge)
        if not runs or runs[-1][1] != merged:
            runs.append((cell, merged))
    return runs


def _tree(number: str, limits: list[float], runs: list[tuple[int, int]]) -> str:
    """Return a comparison tree: as many steps as the logarithm of its cells, and exact."""
    if len(runs) == 1:
        return str(runs[0][1])
    middle = len(runs) // 2
    edge = limits[runs[middle][0] - 1]
    below, above = _tree(number, limits, runs[:middle]), _tree(number, limits, runs[middle:])
    return (
        f"CASE WHEN {number} < CAST('{edge!r}' AS DOUBLE PRECISION) THEN {below} ELSE {above} END"
    )
