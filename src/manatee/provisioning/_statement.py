"""The privacy statement: what a twin promises, for machines and in plain words."""

from __future__ import annotations

from typing import Literal

from manatee.provisioning._contract import Contract, contract_digest
from manatee.provisioning._noise import Budget
from manatee.records import DigestText, Record

MECHANISM = "MST on merged cells (McKenna, Miklau, Sheldon 2021), estimated by mbi"

NOT_PROTECTED = (
    "What the contract says: column names, ranges, categories and bins are public.",
    "Facts about the whole population that the table shows, with or without any one person.",
    "People who share their fate with others in the table, such as a family; the guarantee is "
    "for one row.",
    "What else is released about the same table: budgets add up over releases.",
)


class MeasurementRecord(Record, frozen=True, kw_only=True):
    """One measurement: what, how, its sensitivity, noise scale and share of rho."""

    what: str
    mechanism: str
    sensitivity: int
    scale: float
    rho: float


class PrivacyStatement(Record, frozen=True, kw_only=True):
    """What holds for a twin. Nothing in it depends on the private table but through noise."""

    format_version: Literal[1] = 1
    dataset: str
    contract_digest: DigestText
    mechanism: str
    privacy_unit: str
    neighbouring_relation: str
    epsilon: float
    delta: float
    rho: float
    accounting: str
    randomness: str
    measurements: tuple[MeasurementRecord, ...]
    not_protected: tuple[str, ...]
    versions: dict[str, str]


def make_statement(
    contract: Contract,
    budget: Budget,
    *,
    epsilon: float,
    delta: float,
    versions: dict[str, str],
) -> PrivacyStatement:
    """Write down what was promised and spent."""
    return PrivacyStatement(
        dataset=contract.name,
        contract_digest=contract_digest(contract),
        mechanism=MECHANISM,
        privacy_unit="one row",
        neighbouring_relation="one row added or removed",
        epsilon=float(epsilon),
        delta=float(delta),
        rho=float(budget.spent),
        accounting=(
            "zero-concentrated differential privacy, converted to (epsilon, delta) by OpenDP "
            "(Canonne, Kamath, Steinke 2020)"
        ),
        randomness="OpenDP's samplers over the operating system's randomness; no seed",
        measurements=tuple(
            MeasurementRecord(
                what=charge.what,
                mechanism=charge.mechanism,
                sensitivity=charge.sensitivity,
                scale=charge.scale,
                rho=float(charge.rho),
            )
            for charge in budget.charges
        ),
        not_protected=NOT_PROTECTED,
        versions=versions,
    )


def in_words(statement: PrivacyStatement) -> str:
    """Return the statement as plain text for people."""
    lines = [
        f"Twin of the data set {statement.dataset!r}.",
        "",
        f"Whoever sees it learns almost the same whether or not any {statement.privacy_unit} is in "
        f"the table: it is differentially private with epsilon = {statement.epsilon:g} and "
        f"delta = {statement.delta:g} (rho = {statement.rho:.6g}), for "
        f"{statement.neighbouring_relation}.",
        f"Made by {statement.mechanism}, from {len(statement.measurements)} noisy measurements. "
        f"The number of rows is noisy too.",
        f"Accounting: {statement.accounting}. Randomness: {statement.randomness}.",
        "",
        "Not protected:",
        *(f"- {item}" for item in statement.not_protected),
    ]
    return "\n".join(lines) + "\n"
