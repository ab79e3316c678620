"""What a ledger's entries add up to; decides, and opens no file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

from manatee.budgets._composition import epsilon_of
from manatee.budgets._types import Charge, Limit, Spending
from manatee.errors import BudgetError

RunState = Literal["reserved", "committed", "released"]


@dataclass
class Run:
    """The charges of one run; they are reserved, committed and released together."""

    charges: tuple[Charge, ...]
    state: RunState = "reserved"

    @property
    def counted(self) -> bool:
        """Whether the charges count as spent."""
        return self.state != "released"


@dataclass
class State:
    """Limits and runs of a ledger."""

    limits: dict[str, Limit] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)

    def counted(self, dataset: str) -> list[Charge]:
        """Return the charges on a data set that count as spent."""
        return [
            charge
            for run in self.runs.values()
            if run.counted
            for charge in run.charges
            if charge.dataset == dataset
        ]

    def spending(self, dataset: str, extra: Sequence[Charge] = ()) -> Spending:
        """Return where a data set stands, with charges that are not there yet.

        Raises:
            BudgetError: It has no limit.
        """
        limit = self.limits.get(dataset)
        if limit is None:
            raise BudgetError(
                f"the data set {dataset!r} has no privacy budget.",
                hint=f"Set one: manatee budget limit {dataset} --epsilon E --delta D",
            )
        charges = [*self.counted(dataset), *extra]
        rhos = [charge.rho for charge in charges if charge.rho is not None]
        delta = sum((charge.delta for charge in charges), Fraction(0))
        left = Fraction(limit.delta) - delta
        epsilon = float("inf") if left <= 0 else epsilon_of(rhos, delta=_below(left))
        return Spending(
            dataset=dataset,
            limit=limit,
            rho=sum(rhos, Fraction(0)),
            delta=delta,
            epsilon=epsilon,
            charges=len(charges),
            held=sum(
                run.state == "reserved" and any(c.dataset == dataset for c in run.charges)
                for run in self.runs.values()
            ),
            unbounded=sum(charge.rho is None for charge in charges),
        )


def _below(value: Fraction) -> float:
    near = float(value)
    return near if Fraction(near) <= value else near * (1 - 2.0**-52)


def state_of(entries: Iterable[Mapping[str, Any]]) -> State:
    """Replay entries.

    Raises:
        BudgetError: An entry that means nothing.
    """
    state = State()
    for entry in entries:
        try:
            _apply(state, entry)
        except (KeyError, ValueError, ZeroDivisionError, TypeError) as error:
            raise BudgetError("the budget ledger holds an entry that means nothing.") from error
    return state


def _apply(state: State, entry: Mapping[str, Any]) -> None:
    kind = entry["kind"]
    if kind == "limit":
        state.limits[entry["dataset"]] = Limit(
            float(entry["epsilon"]), float(entry["delta"]), entry["unit"]
        )
    elif kind == "reserve":
        state.runs[entry["run"]] = Run(tuple(charge_from(item) for item in entry["charges"]))
    elif kind == "commit":
        state.runs[entry["run"]].state = "committed"
    elif kind == "release":
        state.runs[entry["run"]].state = "released"
    else:
        raise ValueError(kind)


def charge_entry(charge: Charge) -> dict[str, Any]:
    """Return a charge as JSON values; fractions are exact text."""
    return {
        "dataset": charge.dataset,
        "unit": charge.unit,
        "rho": None if charge.rho is None else str(charge.rho),
        "delta": str(charge.delta),
        "what": charge.what,
    }


def charge_from(item: Mapping[str, Any]) -> Charge:
    """Return the charge that `charge_entry` wrote down."""
    rho = item["rho"]
    return Charge(
        dataset=item["dataset"],
        unit=item["unit"],
        rho=None if rho is None else Fraction(rho),
        what=item["what"],
        delta=Fraction(item["delta"]),
    )
