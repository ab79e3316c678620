"""Which privacy budget ledger a broker accounts in: `budget.json` in its folder."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from manatee.budgets import BudgetLedger
from manatee.errors import SettingsError
from manatee.keybroker._budget import Budget, NoBudget
from manatee.keybroker._ledger_budget import LedgerBudget
from manatee.records import ExactRho, Record, canonical_json, read_record
from manatee.records._base import Name

BUDGET = "budget.json"


class BudgetFile(Record, frozen=True, kw_only=True):
    """Where the provider's ledger is, and what one job costs on each data set that has a price."""

    format_version: Literal[1] = 1
    ledger: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    prices: dict[Name, ExactRho] = msgspec.field(default_factory=dict)


def use_ledger(folder: Path, ledger: Path, prices: Mapping[str, Fraction]) -> None:
    """Make a broker account in a ledger from its next start on; replaces what was said before.

    Args:
        folder: The broker's.
        ledger: The provider's ledger, which `manatee provision` charges too.
        prices: rho of one job, by data set.

    Raises:
        SettingsError: The folder holds no broker, the ledger is not there, or a data set with a
            price has no limit in it: every job on it would be refused.
    """
    if not (folder / "broker.json").exists():
        raise SettingsError(
            f"no key broker in {folder}.", hint="Make one with `manatee keybroker init`."
        )
    if not ledger.exists():
        raise SettingsError(
            f"there is no budget ledger {ledger}.",
            hint="`manatee budget limit` makes one and sets the first limit.",
        )
    limited = BudgetLedger(ledger).datasets()
    for name, price in prices.items():
        if name not in limited:
            raise SettingsError(
                f"the ledger has no limit for {name!r}.",
                hint=f"Set one: manatee budget limit {name} --epsilon E --delta D",
            )
        if price <= 0:
            raise SettingsError(f"the price of {name!r} must be above 0.")
    file = BudgetFile(
        ledger=str(ledger.absolute()),
        prices={name: f"{price.numerator}/{price.denominator}" for name, price in prices.items()},
    )
    temporary = folder / f".{BUDGET}"
    temporary.write_bytes(canonical_json(file))
    temporary.replace(folder / BUDGET)


def open_budget(folder: Path) -> Budget:
    """Return the broker's accountant; without `budget.json` one that accounts for nothing.

    Raises:
        MalformedError: The file is something else.
        SettingsError: It cannot be read, or its ledger is gone.
    """
    path = folder / BUDGET
    if not path.exists():
        return NoBudget()
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror}).") from error
    found = read_record(data, BudgetFile, what=BUDGET)
    if not Path(found.ledger).exists():
        raise SettingsError(
            f"the budget ledger {found.ledger} is gone.",
            hint="Restore it from a copy: a new one would forget what was spent.",
        )
    prices = {name: Fraction(price) for name, price in found.prices.items()}
    return LedgerBudget(BudgetLedger(Path(found.ledger)), prices)
