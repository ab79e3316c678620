"""Rows of a twin that keep the contract's constraints, every one of them.

Post-processing of released numbers: no private value is seen and no budget spent. Rows that
break a rule are drawn again, which is drawing from the model *given* the rules. What still breaks
one after `ROUNDS` takes the values of a row that keeps them all.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from manatee.errors import ProvisioningError

ROUNDS = 30
"""Times a row is drawn again: a rule that half of the model's rows keep fails for one row in a
thousand million; one that a tenth keeps, for one in 24."""

Places = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def hold(
    n_rows: int,
    draw: Callable[[Places], pa.Table],
    kept: Callable[[pa.Table], Mask],
    sampler: np.random.Generator,
    *,
    table: str,
) -> pa.Table:
    """Draw rows until every one keeps the rules.

    Args:
        n_rows: How many rows.
        draw: Draws the rows at these places, in order.
        kept: Which rows keep all rules, shape (n_rows,).
        sampler: Picks the rows whose values are taken over.
        table: Named in the error.

    Raises:
        ProvisioningError: No row at all keeps the rules: they contradict the model.
    """
    everything = np.arange(n_rows)
    rows = draw(everything)
    good = kept(rows)
    pieces, places = [rows.filter(pa.array(good))], [everything[good]]
    pending = everything[~good]
    for _ in range(ROUNDS):
        if not len(pending):
            break
        rows = draw(pending)
        good = kept(rows)
        pieces.append(rows.filter(pa.array(good)))
        places.append(pending[good])
        pending = pending[~good]
    found = pa.concat_tables(pieces)
    where = np.concatenate(places)
    if len(pending):
        if not found.num_rows:
            raise ProvisioningError(
                f"table {table!r}: no row drawn for the twin keeps the contract's constraints.",
                hint="Look for constraints that exclude each other or a column's whole range.",
            )
        donors = sampler.integers(0, found.num_rows, len(pending))
        found = pa.concat_tables([found, found.take(pa.array(donors))])
        where = np.concatenate([where, pending])
    return found.take(pa.array(np.argsort(where, kind="stable")))
