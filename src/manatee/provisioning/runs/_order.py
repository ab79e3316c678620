"""What a run is asked to make: a contract and a specification, as parsed and as written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from manatee.budgets import rho_of_pure, rounded_up
from manatee.contracts import Contract, parse_contract
from manatee.errors import SettingsError
from manatee.provisioning.pets import RowPlan, promise_of_all, row_promise
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

        Of one privacy unit, value by value: an epsilon of one value is its square's half in rho
        (OpenDP), and the rhos of a row's columns and a person's rows add up. That is never more
        than the rho of the summed epsilons, and much less for many values.
        """
        promise = row_promise(self.contract, name, self.rows[name])
        if promise.epsilon is None:
            return None
        costs = (rho_of_pure(rounded_up(epsilon)) * times for epsilon, times in promise.values)
        return sum(costs, Fraction(0))

    @property
    def local_epsilon(self) -> Fraction | None:
        """Local epsilon of one privacy unit over all tables treated row by row; None without."""
        return promise_of_all(self.contract, self.rows)


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
