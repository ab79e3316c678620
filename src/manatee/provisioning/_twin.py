"""A differentially private twin of a table, and the statement of what that promises."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import version

import numpy as np
import pyarrow as pa

from manatee.errors import ProvisioningError
from manatee.provisioning._bins import decode
from manatee.provisioning._contract import Contract, arrow_schema
from manatee.provisioning._mst import Progress, measure, synthesise
from manatee.provisioning._noise import Budget, rho_for
from manatee.provisioning._statement import PrivacyStatement, make_statement
from manatee.provisioning._tables import check_table

MAX_TWIN_ROWS = 20_000_000
"""Most rows of a twin; a noisy count beyond is refused rather than drawn."""


@dataclass(frozen=True)
class Twin:
    """A twin and its privacy statement; both may be shown to anyone."""

    table: pa.Table
    statement: PrivacyStatement


def _silent(_step: str, _part: float) -> None:
    """Tell nobody."""


def make_twin(
    table: pa.Table,
    contract: Contract,
    *,
    epsilon: float,
    delta: float,
    progress: Progress = _silent,
) -> Twin:
    """Make a twin of a private table.

    Guarantee: (epsilon, delta)-differential privacy for one row added or removed, the twin's
    row count included; by zCDP, see `_noise`. Cells, ranges and categories come from the
    contract. Noise is the operating system's; nothing can be seeded.

    Args:
        table: The private table; must keep to the contract.
        contract: Public.
        epsilon: Above 0.
        delta: Above 0; well below one over the number of rows.
        progress: Called with a step and the part that is behind.

    Returns:
        A table of the contract's Arrow schema, and the statement.

    Raises:
        ProvisioningError: A budget that means nothing, or too small to measure anything.
        SchemaMismatchError: The table breaks the contract.
        TableError: The table has no rows.
    """
    budget = Budget(Fraction(rho_for(epsilon, delta)))
    check_table(table, contract)
    progress("reading the table", 0.0)
    measured = measure(table, contract, budget, progress)
    if budget.spent != budget.rho:
        raise ProvisioningError("the measurements do not add up to the privacy budget.")
    n_records = max(1, round(measured.total))
    if n_records > MAX_TWIN_ROWS:
        raise ProvisioningError(f"the twin would have more than {MAX_TWIN_ROWS} rows.")
    sampler = np.random.default_rng()  # draws from released counts only; adds no privacy
    codes = synthesise(measured, n_records, sampler)
    progress("drawing the twin", 0.9)
    arrays = [decode(codes[column.name], column, sampler) for column in contract.columns]
    twin = pa.table(arrays, schema=arrow_schema(contract))
    check_table(twin, contract)
    versions = {name: version(name) for name in ("manatee", "mbi", "opendp")}
    statement = make_statement(contract, budget, epsilon=epsilon, delta=delta, versions=versions)
    progress("done", 1.0)
    return Twin(twin, statement)
