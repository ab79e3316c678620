"""Counting inside a database: only counts of cells leave it, never a row.

One statement counts a whole list of marginals over one snapshot of the table. The answer has at
most one line for each cell of the marginals, whatever the table holds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from manatee.contracts import Column, quoted
from manatee.errors import ProvisioningError
from manatee.provisioning.counting._cell_sql import Dialect, cell_sql
from manatee.provisioning.counting._interface import (
    MAX_MARGINAL_CELLS,
    Attribute,
    Counts,
    Merge,
    attribute_of,
)


class SqlCounter:
    """Counts a table of DuckDB or PostgreSQL where it lies.

    The table must keep to the contract, and to its contribution bound. A value that does not is
    still counted once: in the nearest cell, in `other`, or in the first cell.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        connection: Any,
        relation: str,
        *,
        dialect: Dialect,
    ) -> None:
        """Hold a connection; the caller closes it.

        Args:
            columns: Cellular columns of the contract.
            connection: Of duckdb or psycopg; a read-only one is enough.
            relation: Schema and name of a table or view, `schema.name` or `name`; each part is
                put in quotes. For DuckDB also the name of anything registered.
            dialect: Of which engine the connection is.
        """
        self._columns = {column.name: column for column in columns}
        self._attributes = tuple(attribute_of(column) for column in columns)
        self._connection = connection
        self._relation = ".".join(quoted(part) for part in relation.split("."))
        self._dialect: Dialect = dialect

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """The coded columns."""
        return self._attributes

    def count(
        self, marginals: Sequence[tuple[str, ...]], merges: Mapping[str, Merge] | None = None
    ) -> list[Counts]:
        """Count cells exactly. See `Counter.count`.

        Raises:
            ProvisioningError: Also if the database refuses or breaks off.
        """
        merges = merges or {}
        sizes = {
            item.name: int(merges[item.name].max()) + 1 if item.name in merges else item.n_cells
            for item in self._attributes
        }
        shapes = [tuple(sizes[name] for name in names) for names in marginals]
        if any(math.prod(shape) > MAX_MARGINAL_CELLS for shape in shapes):
            raise ProvisioningError(
                f"a marginal of more than {MAX_MARGINAL_CELLS} cells would have to be counted.",
                hint="Give the columns fewer bins or categories.",
            )
        totals = [np.zeros(math.prod(shape), dtype=np.int64) for shape in shapes]
        if marginals:
            for which, place, times in self._answer(self._statement(marginals, sizes, merges)):
                totals[which][place] = times
        return [total.reshape(shape) for total, shape in zip(totals, shapes, strict=True)]

    def _answer(self, statement: str) -> list[tuple[int, int, int]]:
        try:
            rows: list[tuple[int, int, int]] = self._connection.execute(statement).fetchall()
        except Exception as error:
            if not type(error).__module__.startswith(("duckdb", "_duckdb", "psycopg")):
                raise
            # the engine's message may quote a value
            raise ProvisioningError(
                "the database did not count the table.",
                hint="Check that the server is up and the table's columns are those of the "
                "contract; then run again.",
            ) from None
        return rows

    def _statement(
        self,
        marginals: Sequence[tuple[str, ...]],
        sizes: Mapping[str, int],
        merges: Mapping[str, Merge],
    ) -> str:
        used = [item.name for item in self._attributes if any(item.name in m for m in marginals)]
        short = {name: f"c{place}" for place, name in enumerate(used)}
        cells = ", ".join(
            f"{cell_sql(self._columns[name], self._dialect, merges.get(name))} AS {short[name]}"
            for name in used
        )
        counts = " UNION ALL ".join(
            f"SELECT {which}, {self._place(names, short, sizes)} AS place, COUNT(*) "  # noqa: S608
            "FROM cells GROUP BY place HAVING COUNT(*) > 0"
            for which, names in enumerate(marginals)
        )
        return (
            f"WITH cells AS MATERIALIZED (SELECT {cells or '1 AS one'} FROM {self._relation}) "  # noqa: S608
            f"{counts}"
        )

    @staticmethod
    def _place(names: tuple[str, ...], short: Mapping[str, str], sizes: Mapping[str, int]) -> str:
        place = "0"
        for step, name in enumerate(names):
            code = f"CAST({short[name]} AS INTEGER)"
            place = code if step == 0 else f"({place} * {sizes[name]} + {code})"
        return place
