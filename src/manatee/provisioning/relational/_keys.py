"""Keys of a twin: counted up from one, unrelated to any real key."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from manatee.contracts import Column, Table
from manatee.errors import ProvisioningError

Places = npt.NDArray[np.int64]
"""Numbers of rows, from 0."""


def fresh_column(table: Table) -> Column | None:
    """Return the key column that a table fills by itself; None if it has no such key.

    Raises:
        ProvisioningError: The key has several such columns, or none and no reference: its rows
            are told apart by values that a twin draws at random.
    """
    if not table.key:
        return None
    borrowed = {name for reference in table.references for name in reference.columns}
    own = [table.column(name) for name in table.key if name not in borrowed]
    fresh = [column for column in own if column.type == "identifier"]
    if len(fresh) > 1 or not (fresh or borrowed & set(table.key)):
        raise ProvisioningError(
            f"table {table.name!r}: its key must have one identifier of its own, or a reference "
            "with columns beside it.",
            hint="Leave the key out of the contract if nothing refers to it.",
        )
    return fresh[0] if fresh else None


def key_values(column: Column, places: Places) -> pa.Array:
    """Return the identifiers of rows: whole numbers from 1, or the same as text.

    Raises:
        ProvisioningError: The contract's longest text is too short for so many rows.
    """
    numbers = pa.array(places + 1, pa.int64())
    if column.holds == "integer":
        return numbers
    texts = numbers.cast(pa.string())
    if len(places) and len(str(int(places.max()) + 1)) > column.max_length:
        raise ProvisioningError(
            f"identifier {column.name!r} is at most {column.max_length} characters long, too "
            "short for the rows of the twin.",
            hint="Raise its max_length in the contract.",
        )
    return texts


@dataclass
class KeyPool:
    """Keys that a finished table of the twin offers to references from aside."""

    values: dict[str, list[pa.Array]] = field(default_factory=dict)
    n_rows: int = 0

    def add(self, table: Table, rows: pa.Table) -> None:
        """Add the keys of more rows."""
        for name in table.key:
            self.values.setdefault(name, []).extend(rows[name].chunks)
        self.n_rows += rows.num_rows

    def pick(
        self, columns: tuple[str, ...], n: int, sampler: np.random.Generator
    ) -> list[pa.Array]:
        """Return `n` keys drawn uniformly, one array per key column.

        Raises:
            ProvisioningError: There is no key to pick.
        """
        if self.n_rows == 0:
            raise ProvisioningError("a referenced table of the twin has no rows.")
        places = pa.array(sampler.integers(0, self.n_rows, n))
        return [
            pa.chunked_array(self.values[name]).take(places).combine_chunks() for name in columns
        ]
