"""A twin of one table in one call: for notebooks, tests and benchmarks."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from manatee.contracts import Contract
from manatee.errors import TableError
from manatee.provisioning.noise import Budget, rho_for
from manatee.provisioning.runs._make import synthesise_tables
from manatee.provisioning.runs._order import Order, Progress, onwards
from manatee.provisioning.runs._run import silent, versions
from manatee.provisioning.runs._statement import PrivacyStatement
from manatee.provisioning.runs._write_statement import make_statement
from manatee.provisioning.spec import PrivacyBudget, Spec, SynthesisTable
from manatee.provisioning.tables import open_source


@dataclass(frozen=True)
class Twin:
    """A twin and its privacy statement; both may be shown to anyone."""

    table: pa.Table
    statement: PrivacyStatement


def make_twin(
    table: pa.Table,
    contract: Contract,
    *,
    epsilon: float,
    delta: float,
    progress: Progress = silent,
    noise: Callable[[Fraction], Budget] = Budget,
) -> Twin:
    """Make a twin of a private table by MST. Keeps no ledger: whoever calls adds budgets up.

    Guarantee: (epsilon, delta)-differential privacy for one row added or removed, the twin's
    row count included; by zCDP, see `noise`. Cells, ranges and categories come from the
    contract. Noise is the operating system's; nothing can be seeded.

    Args:
        table: The private table; must keep to the contract.
        contract: Public; of one table.
        epsilon: Above 0.
        delta: Above 0; well below one over the number of rows.
        progress: Called with a step and the part that is behind.
        noise: Makes the budget that draws the noise.

    Returns:
        A table of the contract's Arrow schema, and the statement.

    Raises:
        ProvisioningError: A budget that means nothing, or too small to measure anything.
        SchemaMismatchError: The table breaks the contract.
        TableError: The table has no rows.
    """
    budget = noise(Fraction(rho_for(epsilon=epsilon, delta=delta)))
    name = contract.only.name
    plan = SynthesisTable("mst")
    spec = Spec(contract.name, {name: plan}, PrivacyBudget(float(epsilon), float(delta)))
    order = Order(contract, spec, b"", b"")
    if table.num_rows == 0:
        raise TableError("the table has no rows.")
    progress("reading the table", 0.0)
    with tempfile.TemporaryDirectory(prefix="manatee-twin-") as scratch:
        folder = Path(scratch)
        given = folder / "given.parquet"
        pq.write_table(table, given)
        with open_source({name: given}, contract, folder=folder) as source:
            synthesise_tables(
                order,
                source,
                folder,
                spill=folder,
                budget=budget,
                sampler=np.random.default_rng(),
                progress=onwards(progress),
            )
        statement = make_statement(
            order,
            budget,
            (),
            twin=folder,
            data_digest="",
            ledger=None,
            stamp="",
            versions=versions(),
        )
        twin = pq.read_table(folder / f"{name}.parquet")
    progress("done", 1.0)
    return Twin(twin, statement)
