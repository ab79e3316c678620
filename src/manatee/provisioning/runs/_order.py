"""What a run is asked to make: a contract and a specification, as parsed and as written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from manatee.budgets import rho_of_pure
from manatee.contracts import Contract, parse_contract
from manatee.errors import SettingsError
from manatee.provisioning.pets import Randomise, RandomiseNumber, RowPlan, Suppress
from manatee.provisioning.spec import DummyTable, Spec, SynthesisTable, parse_spec

Progress = Callable[[str, float], None]
"""Told what is being done and which part of the whole is behind (0 to 1)."""


@dataclass(frozen=True)
class Order:
    """One run's whole order; public."""

    contract: Contract
    spec: Spec
    contract_text: bytes
    spec_text: bytes

    @property
    def synthesis(self) -> dict[str, SynthesisTable]:
        """Tables that are synthesised, together."""
        return {n: p for n, p in self.spec.tables.items() if isinstance(p, SynthesisTable)}

    @property
    def rows(self) -> dict[str, RowPlan]:
        """Tables that are treated row by row."""
        return {n: p for n, p in self.spec.tables.items() if isinstance(p, RowPlan)}

    @property
    def dummies(self) -> dict[str, int]:
        """Dummy tables and their numbers of rows."""
        return {n: p.rows for n, p in self.spec.tables.items() if isinstance(p, DummyTable)}

    @property
    def private(self) -> tuple[str, ...]:
        """Tables that are read."""
        return tuple(name for name in self.tables if name not in self.dummies)

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables that are made, in the contract's order."""
        return tuple(self.spec.tables)

    @property
    def epsilon(self) -> float | None:
        """Of everything synthesised; None if nothing is."""
        return None if self.spec.budget is None else self.spec.budget.epsilon

    @property
    def delta(self) -> float | None:
        """The same."""
        return None if self.spec.budget is None else self.spec.budget.delta

    def row_cost(self, name: str) -> Fraction | None:
        """Return the rho of a table treated row by row; None without a guarantee for whole rows.

        Sequential composition over the columns of a row and the rows of a person.
        """
        plan = self.rows[name]
        if plan.sample is not None or plan.protect is not None:
            return None
        total = 0.0
        for treatment in plan.columns.values():
            if isinstance(treatment, Suppress):
                continue
            if not isinstance(treatment, Randomise | RandomiseNumber):
                return None
            total += treatment.epsilon
        times = self.contract.table(name).max_rows_per_person or 1
        return rho_of_pure(total * times) if total else Fraction(0)


def make_order(contract_text: bytes, spec_text: bytes) -> Order:
    """Parse a contract and a specification for it.

    Raises:
        ContractError: One of them is not one; gives the line.
    """
    contract = parse_contract(contract_text)
    return Order(contract, parse_spec(spec_text, contract), contract_text, spec_text)


def read_order(contract: Path, spec: Path) -> Order:
    """Read a contract and a specification.

    Raises:
        ContractError: As `make_order`.
        SettingsError: A file cannot be read.
    """
    texts = []
    for path in (contract, spec):
        try:
            texts.append(path.read_bytes())
        except OSError as error:
            raise SettingsError(f"{path} cannot be read.") from error
    return make_order(*texts)


def onwards(progress: Progress) -> Progress:
    """Return the same, never going back: drawing counts its parts anew."""
    furthest = [0.0]

    def told(step: str, part: float) -> None:
        furthest[0] = max(furthest[0], part)
        progress(step, furthest[0])

    return told
