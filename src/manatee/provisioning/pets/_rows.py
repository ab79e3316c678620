"""A row-level twin: every row treated column by column, some rows left out, batch after batch.

Tables are taken in the contract's order, so that rows whose parent was left out are left out too.
Held in memory: one batch, groups of protected tables, 8 bytes per row of whole-number keys, and
the keys left out (or, of tables sampled below another, kept).
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from manatee.contracts import Contract, ForeignKey, Table, arrow_schema
from manatee.errors import ProvisioningError
from manatee.provisioning.pets._interface import Context, TreatmentRecord
from manatee.provisioning.pets._promise import (
    RowPlan,
    check_shares,
    promise_words,
    row_promise,
)
from manatee.provisioning.pets._protect import Groups
from manatee.provisioning.pets._pseudonyms import Collisions, Pseudonym

Mask = npt.NDArray[np.bool_]
Batches = Callable[[str], Iterator[pa.RecordBatch]]
"""Rows of a table, typed as its contract says; must give the same rows when called again."""


@dataclass(frozen=True)
class RowStatement:
    """What is promised about the rows of one table; `row_epsilon` of one privacy unit."""

    table: str
    columns: tuple[TreatmentRecord, ...]
    row_guarantee: str
    row_epsilon: float | None
    notes: tuple[str, ...] = field(default_factory=tuple)


class RowTwin:
    """Row-level releases of a contract's tables, one run."""

    def __init__(
        self,
        contract: Contract,
        plans: Mapping[str, RowPlan],
        batches: Batches,
        context: Context,
    ) -> None:
        """Take plans that `manatee.provisioning.spec` accepted; reads nothing yet.

        Raises:
            ProvisioningError: A column without a treatment, with one that does not fit, or with
                one that gives each row of a person the whole epsilon.
        """
        self._contract, self._plans, self._batches = contract, plans, batches
        self._context = context
        self._secret = secrets.token_bytes(32)
        self._left_out: dict[str, set[tuple[object, ...]]] = {}
        self._statements: dict[str, RowStatement] = {}
        for name, plan in plans.items():
            table = contract.table(name)
            if set(plan.columns) != {column.name for column in table.columns}:
                raise ProvisioningError(f"table {name!r} needs one treatment for every column.")
            for column in table.columns:
                plan.columns[column.name].check(column)
            check_shares(table, plan.columns)

    def statement(self, name: str) -> RowStatement:
        """Return the statement of a table whose rows were all taken. Raises KeyError before."""
        return self._statements[name]

    def rows(self, name: str) -> Iterator[pa.RecordBatch]:
        """Yield the released rows of a table; its parents' rows must have been taken before.

        They stand in the private order, which may follow values: pass them through `shuffled`.

        Raises:
            ProvisioningError: Too many rows would be left out, two identifiers would share a
                pseudonym, or a parent table has not been taken.
        """
        table, plan = self._contract.table(name), self._plans[name]
        for link in table.references:
            if link.table in self._plans and link.table not in self._statements:
                if link.table != name:
                    raise ProvisioningError(f"take the rows of {link.table!r} before {name!r}'s.")
        groups = self._groups(table, plan)
        running = {
            column.name: plan.columns[column.name].begin(column, self._context)
            for column in table.columns
        }
        checks = {
            column.name: Collisions(column.name)
            for column in table.columns
            if (column.name,) == table.key
            and column.holds == "integer"
            and isinstance(plan.columns[column.name], Pseudonym)
        }
        referenced = any(
            link.table == name for other in self._contract.tables for link in other.references
        )
        left_out: set[tuple[object, ...]] = set()
        schema = arrow_schema(table)
        for start, batch in _counted(self._batches(name)):
            chosen = self._chosen(table, plan, batch, start)
            treated = [running[c.name].apply(batch.column(c.name)) for c in table.columns]
            out = pa.record_batch(treated, schema=schema)
            for column, check in checks.items():
                check.add(out.column(column))
            if groups is not None:
                chosen &= groups.keeps(out)
            if referenced and table.key:
                gone = np.flatnonzero(~chosen)
                left_out.update(_tuples(batch.take(pa.array(gone)), table.key))
            yield out.filter(pa.array(chosen))
        for check in checks.values():
            check.finish()
        self._left_out[name] = left_out
        records = tuple(running[column.name].record() for column in table.columns)
        self._statements[name] = _state(self._contract, name, plan, records)

    def _groups(self, table: Table, plan: RowPlan) -> Groups | None:
        if plan.protect is None:
            return None
        names = tuple(
            column.name
            for column in table.columns
            if column.sensitivity == "quasi-identifying"
            and plan.columns[column.name].name in {"keep", "generalise"}
        )
        groups = Groups(plan.protect, names)
        needed = set(names)
        if plan.protect.diversity is not None:
            needed.add(plan.protect.diversity.column)
        running = {
            name: plan.columns[name].begin(table.column(name), self._context) for name in needed
        }
        for start, batch in _counted(self._batches(table.name)):
            chosen = pa.array(self._chosen(table, plan, batch, start))
            treated = {name: run.apply(batch.column(name)) for name, run in running.items()}
            told = pa.RecordBatch.from_pydict(treated) if treated else batch.select([])
            groups.add(told.filter(chosen) if treated else batch.filter(chosen))
        groups.finish()
        return groups

    def _chosen(self, table: Table, plan: RowPlan, batch: pa.RecordBatch, start: int) -> Mask:
        """Return which rows the sample and the parents' rows leave; the same when asked again."""
        chosen = np.ones(batch.num_rows, dtype=np.bool_)
        follows = False
        for link in table.references:
            if link.table not in self._left_out:
                continue
            parent = self._plans[link.table]
            follows |= parent.sample is not None
            chosen &= self._with_parent(link, batch)
        if plan.sample is None or follows:
            return chosen
        rows = (
            _tuples(batch, table.key)
            if table.key
            else [(start + place,) for place in range(batch.num_rows)]
        )
        limit = int(plan.sample * 2**64)
        tag = table.name.encode() + b"\0"
        for place, row in enumerate(rows):
            lot = hmac.digest(self._secret, tag + repr(row).encode(), "sha256")
            chosen[place] &= int.from_bytes(lot[:8], "big") < limit
        return chosen

    def _with_parent(self, link: ForeignKey, batch: pa.RecordBatch) -> Mask:
        gone = self._left_out[link.table]
        return np.array([row not in gone for row in _tuples(batch, link.columns)], dtype=np.bool_)


def _counted(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[int, pa.RecordBatch]]:
    start = 0
    for batch in batches:
        yield start, batch
        start += batch.num_rows


def _tuples(batch: pa.RecordBatch, columns: tuple[str, ...]) -> list[tuple[object, ...]]:
    return list(zip(*(batch.column(name).to_pylist() for name in columns), strict=True))


def _state(
    contract: Contract, name: str, plan: RowPlan, records: tuple[TreatmentRecord, ...]
) -> RowStatement:
    promise = row_promise(contract, name, plan)
    guarantee, told = promise_words(contract, promise)
    notes = list(told)
    if plan.sample is not None:
        notes.append(
            "rows are a secret sample: sampling alone is no differential privacy; "
            "no formal guarantee"
        )
    if plan.protect is not None:
        notes.append(
            f"groups of at least {plan.protect.k} rows: hides nothing that a group shares, and "
            "does not survive a second release of the same people; no differential privacy"
        )
    epsilon = None if promise.epsilon is None else float(promise.epsilon)
    return RowStatement(name, records, guarantee, epsilon, tuple(notes))
