"""The privacy statement: what a twin promises, for machines and on one page of plain words."""

from __future__ import annotations

from collections.abc import Sequence
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
    """What was done to one table.

    `broken` counts released rows that break a rule of the contract: treated columns no longer know
    of each other. Counted in the released rows alone.
    """

    table: str
    treatment: str
    guarantee: str
    columns: tuple[ColumnRecord, ...] = ()
    not_protected: tuple[str, ...] = ()
    broken: dict[str, int] = msgspec.field(default_factory=dict)


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
    no number for the whole. `local_epsilon` is that of all tables treated row by row together, for
    one privacy unit; None where there are none, or one has no guarantee. `data_digest` is keyed
    with a secret of the provider.
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
    local_epsilon: float | None = None
    accounting: str
    randomness: str
    measurements: tuple[MeasurementRecord, ...]
    tables: tuple[TableRecord, ...] = ()
    not_protected: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    budget: BudgetRecord | None = None
    versions: dict[str, str]


def unit_words(kind: str, *, treated: bool = False, drawn: bool = True) -> tuple[str, str]:
    """Return the privacy unit and the neighbouring relation in words.

    Args:
        kind: Of the contract's privacy unit.
        treated: Whether there are tables treated row by row: their rows stay, values change.
        drawn: Whether there are tables drawn from a model, or nothing private was read.
    """
    person = kind == "person"
    unit = "one person with all of their rows" if person else "one row"
    gone = "all rows of one person added or removed" if person else "one row added or removed"
    other = f"all values in {'the rows of one person' if person else 'one row'} changed"
    if not treated:
        return unit, gone
    return unit, f"{gone}; in tables treated row by row, {other}" if drawn else other


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
    local = ""
    if statement.local_epsilon:
        local = (
            " Of that, the tables treated row by row have a local epsilon of "
            f"{statement.local_epsilon:.12g}; that their rows are there is shown."
        )
    if not statement.measurements:
        unit = statement.privacy_unit.removeprefix("one ").partition(" ")[0]
        return (
            f"Whoever sees it learns almost the same whatever the values of any {unit} are: local "
            f"differential privacy with epsilon = {statement.epsilon:.12g}, for "
            f"{statement.neighbouring_relation}. That the rows are there, and how many, is shown."
        )
    return (
        "Whoever sees it learns almost the same whether or not any "
        f"{statement.privacy_unit.removeprefix('one ')} is in the tables: it is differentially "
        f"private with epsilon = {statement.epsilon:g} and delta = {statement.delta:g} (rho = "
        f"{statement.rho:.6g}), for {statement.neighbouring_relation}.{local}"
    )


def _table(table: TableRecord) -> list[str]:
    lines = [f"Table {table.table!r}: {table.treatment}; {table.guarantee}."]
    for column in table.columns:
        lines.append(f"  {column.column}: {column.treatment}; {column.guarantee}.")
        lines += [f"    not protected: {text}" for text in column.not_protected]
    lines += [
        f"  not kept: {rule}, in {count} of the released rows; its columns were treated one by one"
        for rule, count in table.broken.items()
    ]
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
