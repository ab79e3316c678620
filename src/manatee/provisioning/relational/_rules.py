"""A table's constraints, ready for drawn rows: what follows from others, and what must hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from manatee.contracts import Constraint, Table, columns_of, derive, follows, kept

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Rules:
    """The constraints of one table.

    Attributes:
        derived: Constraints that determine a column from columns that none of them determines.
    """

    table: Table
    derived: tuple[Constraint, ...]

    def derive(self, rows: pa.Table) -> pa.Table:
        """Return the rows with every determined column computed anew from the others.

        A column that is drawn missing stays so.
        """
        for constraint in self.derived:
            name = follows(constraint, self.table)
            place = rows.schema.get_field_index(name)
            drawn = rows.column(place)
            values = derive(constraint, self.table, rows)
            if drawn.null_count:
                missing = drawn.is_null().combine_chunks()
                values = pc.if_else(missing, pa.scalar(None, values.type), values)
            rows = rows.set_column(place, str(name), values)
        return rows

    def kept(self, rows: pa.Table) -> Mask:
        """Return which rows keep every constraint, shape (n_rows,)."""
        found = np.ones(rows.num_rows, dtype=bool)
        for constraint in self.table.constraints:
            found &= kept(constraint, self.table, rows)
        return found


def rules_of(table: Table) -> Rules:
    """Return a table's rules.

    Where several constraints could determine one another's columns, the first in the contract
    does; the rest are rules that drawn rows must meet.
    """
    found: list[Constraint] = []
    determined: set[str] = set()
    used: set[str] = set()
    for constraint in table.constraints:
        name = follows(constraint, table)
        if name is None or name in determined or name in used:
            continue
        reads = columns_of(constraint, table) - {name}
        if reads & determined:
            continue
        found.append(constraint)
        determined.add(name)
        used |= reads
    return Rules(table, tuple(found))
