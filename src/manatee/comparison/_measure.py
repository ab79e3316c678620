"""What a guest does: count the real table, and let only noisy counts go."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from manatee.comparison._count import arrow_columns, count_exactly
from manatee.errors import SealingError
from manatee.records import NoisyCounts, TwinComparison, TwinReport


def parts_of(order: TwinComparison) -> int:
    """Return how many measurements share an order's budget, each an equal part."""
    return 1 + len(order.missing) + len(order.strata)


def measure(path: Path, dataset: str, order: TwinComparison) -> TwinReport:
    """Measure one table.

    Guarantee: `order.rho`-zCDP for one unit added or removed. Each of `parts_of` measurements has
    an equal share; a unit moves each by at most `most_rows` in the L2 norm.

    Args:
        path: Arrow IPC file of the real table, as the notebook is given it.
        dataset: Its name.
        order: The provider's leave, from the data set's manifest.

    Raises:
        BudgetError: No noise can be had for this budget.
        MalformedError: The order does not fit the table.
        SealingError: The table cannot be read.
    """
    import pyarrow as pa

    from manatee.budgets import noisy_counts

    try:
        with pa.memory_map(str(path)) as source:
            file = pa.ipc.open_file(source)
            batches = (file.get_batch(place) for place in range(file.num_record_batches))
            columns = arrow_columns(file.schema)
            exact = count_exactly(batches, file.schema, order)
    except (pa.ArrowException, OSError) as error:
        raise SealingError("a table cannot be read for the comparison with its twin.") from error
    share = Fraction(order.rho) / parts_of(order)
    measured = []
    for item in exact:
        counts, scale = noisy_counts(item.counts, share, sensitivity=order.most_rows)
        measured.append(
            NoisyCounts(what=item.what, columns=item.columns, counts=counts, scale=scale)
        )
    return TwinReport(
        dataset=dataset,
        rho=order.rho,
        unit=order.unit,
        most_rows=order.most_rows,
        columns=columns,
        measured=tuple(measured),
    )
