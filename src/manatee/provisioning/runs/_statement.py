"""The privacy statement: what a twin promises, for machines and on one page of plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from manatee.provisioning.noise import Budget
from manatee.records import DigestText, Record

NOT_PRIVATE = "NOT PRIVATE: test"
"""Stamp of a twin made with fixed noise."""

ACCOUNTING = (
    "zero-concentrated differential privacy, converted to (epsilon, delta) by OpenDP "
    "(Canonne, Kamath, Steinke 2020)"
)
RANDOMNESS = "OpenDP's samplers over the operating system's randomness; no seed"

NOT_PROTECTED = (
    "What the contract says: table and column names, ranges, categories, bins, keys and "
    "constraints are public.",
    "Facts about the whole population that the tables show, with or without any one of them.",
    "People who share their fate with others in the table, such as a family.",
    "What else is released about the same tables: budgets add up over releases, in the provider's "
    "ledger.",
)
NOT_PROTECTED_ROW = (
    "A person with several rows: the guarantee is for one row, not for all rows of a person.",
)


class MeasurementRecord(Record, frozen=True, kw_only=True):
    """One measurement: what, how, its sensitivity, noise scale and share of rho."""

    what: str
    mechanism: str
    sensitivity: float
    scale: float
    rho: float


class ColumnRecord(Record, frozen=True, kw_only=True):
    """What was done to one column, and what that guarantees."""

    column: str
    treatment: str
    guarantee: str
    epsilon: float | None = None
    not_protected: tuple[str, ...] = ()
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    released: dict[str, float] = msgspec.field(default_factory=dict)


class TableRecord(Record, frozen=True, kw_only=True):
    """What was done to one table."""

    table: str
    treatment: str
    guarantee: str
    columns: tuple[ColumnRecord, ...] = ()
    not_protected: tuple[str, ...] = ()


class BudgetRecord(Record, frozen=True, kw_only=True):
    """The data set's budget after this release, over every twin and release."""

    limit_epsilon: float
    limit_delta: float
    spent_epsilon: float
    spent_rho: float
    releases: int
    unbounded_releases: int
    ledger_head: str


class PrivacyStatement(Record, frozen=True, kw_only=True):
    """What holds for a twin. Nothing in it depends on the private tables but through noise.

    `epsilon`, `delta` and `rho` are None where some table has no formal guarantee: then there is
    no number for the whole. `data_digest` is keyed with a secret of the provider.
    """

    format_version: Literal[1] = 1
    stamp: str = ""
    dataset: str
    contract_digest: DigestText
    data_digest: str = ""
    mechanism: str
    privacy_unit: str
    neighbouring_relation: str
    epsilon: float | None
    delta: float | None
    rho: float | None
    accounting: str
    randomness: str
    measurements: tuple[MeasurementRecord, ...]
    tables: tuple[TableRecord, ...] = ()
    not_protected: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    budget: BudgetRecord | None = None
    versions: dict[str, str]


def unit_words(kind: str) -> tuple[str, str]:
    """Return the privacy unit and the neighbouring relation in words."""
    if kind == "person":
        return "one person with all of their rows", "all rows of one person added or removed"
    return "one row", "one row added or removed"


def measurement_records(budget: Budget) -> tuple[MeasurementRecord, ...]:
    """Return what was charged to a budget."""
    return tuple(
        MeasurementRecord(
            what=charge.what,
            mechanism=charge.mechanism,
            sensitivity=float(charge.sensitivity),
            scale=charge.scale,
            rho=float(charge.rho),
        )
        for charge in budget.charges
    )


def delta_warnings(delta: float, noisy_rows: Mapping[str, int]) -> tuple[str, ...]:
    """Return why a delta is too large for tables of these (noisy or public) numbers of rows."""
    return tuple(
        f"delta = {delta:g} is not below one over the number of rows of table {name!r} (about "
        f"{rows}, as released): a mechanism may then publish a row outright and still keep its "
        f"promise. Choose a delta well below {1 / max(rows, 1):.1g}."
        for name, rows in noisy_rows.items()
        if delta * max(rows, 1) >= 1
    )


def in_words(statement: PrivacyStatement) -> str:
    """Return the statement as one page of plain text."""
    lines = [f"Twin of the data set {statement.dataset!r}.", ""]
    if statement.stamp:
        lines += [f"*** {statement.stamp} ***", ""]
    lines += [_promise(statement), ""]
    if statement.measurements:
        lines += [
            f"Made by {statement.mechanism}, from {len(statement.measurements)} noisy "
            "measurements. The number of rows is noisy too, unless the contract or the "
            "specification says it is public.",
            f"Accounting: {statement.accounting}. Randomness: {statement.randomness}.",
            "",
        ]
    lines += [line for table in statement.tables for line in _table(table)]
    if statement.budget is not None:
        lines += ["", _budget(statement.budget)]
    lines += [f"WARNING: {warning}" for warning in statement.warnings]
    lines += ["", "Not protected:", *(f"- {item}" for item in statement.not_protected)]
    if statement.data_digest:
        lines += [
            "",
            f"Made from tables with the digest {statement.data_digest}, keyed with the provider's "
            "secret: it answers nobody's guesses.",
        ]
    versions = ", ".join(f"{name} {text}" for name, text in sorted(statement.versions.items()))
    return "\n".join([*lines, f"Software: {versions}.", ""])


def _promise(statement: PrivacyStatement) -> str:
    if statement.stamp:
        return "The noise was fixed in advance: this twin protects nobody. It is for tests."
    if statement.epsilon is None or statement.delta is None or statement.rho is None:
        return (
            "There is NO FORMAL GUARANTEE for the whole: at least one table or column is released "
            "by a treatment that has none. What holds for each is said below."
        )
    if statement.epsilon == 0:
        return "It was made from the contract alone: no private value was read for it."
    return (
        "Whoever sees it learns almost the same whether or not any "
        f"{statement.privacy_unit.removeprefix('one ')} is in the tables: it is differentially "
        f"private with epsilon = {statement.epsilon:g} and delta = {statement.delta:g} (rho = "
        f"{statement.rho:.6g}), for {statement.neighbouring_relation}."
    )


def _table(table: TableRecord) -> list[str]:
    lines = [f"Table {table.table!r}: {table.treatment}; {table.guarantee}."]
    for column in table.columns:
        lines.append(f"  {column.column}: {column.treatment}; {column.guarantee}.")
        lines += [f"    not protected: {text}" for text in column.not_protected]
    return [*lines, *(f"  not protected: {text}" for text in table.not_protected)]


def _budget(budget: BudgetRecord) -> str:
    text = (
        f"Budget of the data set: epsilon {budget.spent_epsilon:.4g} of {budget.limit_epsilon:g} "
        f"spent at delta {budget.limit_delta:g}, over {budget.releases} releases."
    )
    if budget.unbounded_releases:
        text += (
            f" {budget.unbounded_releases} of them have no formal guarantee, so that this sum "
            "bounds nothing."
        )
    return text


def not_protected(kind: str, extra: Sequence[str] = ()) -> tuple[str, ...]:
    """Return what is not protected, for a privacy unit."""
    return (*NOT_PROTECTED, *(NOT_PROTECTED_ROW if kind == "row" else ()), *dict.fromkeys(extra))
