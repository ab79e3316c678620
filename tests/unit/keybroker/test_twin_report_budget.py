"""A job that asks where the twin misled gets keys only if the privacy budget pays for it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import msgspec
import pytest

from manatee.budgets import BudgetLedger
from manatee.errors import KeyDeniedError, MalformedError, SettingsError
from manatee.keybroker import LedgerBudget, NoBudget, create_broker, use_ledger
from manatee.keybroker._budget_file import BUDGET, open_budget
from manatee.records import TwinComparison
from manatee.testing import VISITS_ORDER, Installation

ORDER = msgspec.structs.replace(VISITS_ORDER, rho="1/100")
PRICE = Fraction(ORDER.rho)


@pytest.fixture
def ledger(tmp_path: Path) -> BudgetLedger:
    """For two reports, and not for three."""
    made = BudgetLedger(tmp_path / "ledger.sqlite")
    made.set_limit("insurance", epsilon=1.0, delta=1e-6)
    return made


def submit(place: Installation, submission: int, order: TwinComparison = ORDER) -> None:
    place.ask_for_twin_report(order)
    place.manifest = msgspec.structs.replace(place.manifest, submission=submission)


def test_each_report_is_paid_for_once_until_the_budget_is_spent(
    place: Installation, ledger: BudgetLedger
) -> None:
    broker = place.broker(budget=LedgerBudget(ledger, {}))
    for submission in (1, 2):
        submit(place, submission)
        assert broker.release(place.ask(broker).body()).keys
        assert ledger.spent("insurance").rho == submission * PRICE
    submit(place, 3)
    with pytest.raises(KeyDeniedError, match=r"\[budget\]"):
        broker.release(place.ask(broker).body())
    assert ledger.spent("insurance").rho == 2 * PRICE


def test_a_job_that_asks_for_no_report_pays_for_none(
    place: Installation, ledger: BudgetLedger
) -> None:
    submit(place, 1)
    place.manifest = msgspec.structs.replace(place.manifest, twin_report=False)
    broker = place.broker(budget=LedgerBudget(ledger, {}))
    assert broker.release(place.ask(broker).body()).keys
    assert ledger.spent("insurance").charges == 0


def test_a_job_pays_its_own_price_and_that_of_its_report(
    place: Installation, ledger: BudgetLedger
) -> None:
    submit(place, 1)
    broker = place.broker(budget=LedgerBudget(ledger, {"insurance": PRICE / 2}))
    broker.release(place.ask(broker).body())
    assert ledger.spent("insurance").rho == PRICE * 3 / 2


def test_a_broker_without_a_budget_refuses_reports(place: Installation) -> None:
    submit(place, 1)
    broker = place.broker()
    with pytest.raises(KeyDeniedError, match=r"\[budget\]"):
        broker.release(place.ask(broker).body())


def test_a_data_set_without_a_limit_is_refused(place: Installation, tmp_path: Path) -> None:
    submit(place, 1)
    empty = BudgetLedger(tmp_path / "empty.sqlite")
    empty.set_limit("bills", epsilon=1.0, delta=1e-6)
    broker = place.broker(budget=LedgerBudget(empty, {}))
    with pytest.raises(KeyDeniedError, match=r"\[budget\]"):
        broker.release(place.ask(broker).body())


def test_a_report_per_person_cannot_be_paid_from_a_budget_per_row(
    place: Installation, ledger: BudgetLedger
) -> None:
    order = msgspec.structs.replace(ORDER, unit="person", person="person", most_rows=3)
    submit(place, 1, order)
    broker = place.broker(budget=LedgerBudget(ledger, {}))
    with pytest.raises(KeyDeniedError, match=r"\[budget\]"):
        broker.release(place.ask(broker).body())
    assert ledger.spent("insurance").charges == 0


def test_a_ledger_that_cannot_be_written_releases_nothing(
    place: Installation, tmp_path: Path
) -> None:
    from manatee.errors import ManateeError

    (tmp_path / "broken.sqlite").write_bytes(b"no ledger at all, but a file")
    submit(place, 1)
    broker = place.broker(budget=LedgerBudget(BudgetLedger(tmp_path / "broken.sqlite"), {}))
    with pytest.raises(ManateeError):
        broker.release(place.ask(broker).body())
    assert broker._store.uses(("insurance",), project="claims", researcher="ada") == {
        "insurance": 0
    }


# --- which ledger: budget.json ------------------------------------------------------------------


def test_a_broker_accounts_where_it_was_told_to(tmp_path: Path, ledger: BudgetLedger) -> None:
    create_broker(tmp_path / "broker", "insurer-broker")
    assert isinstance(open_budget(tmp_path / "broker"), NoBudget)
    use_ledger(tmp_path / "broker", tmp_path / "ledger.sqlite", {"insurance": PRICE})
    assert isinstance(open_budget(tmp_path / "broker"), LedgerBudget)


def test_what_would_refuse_every_job_is_refused_at_once(
    tmp_path: Path, ledger: BudgetLedger
) -> None:
    book = tmp_path / "ledger.sqlite"
    with pytest.raises(SettingsError, match="no key broker"):
        use_ledger(tmp_path, book, {})
    create_broker(tmp_path / "broker", "insurer-broker")
    with pytest.raises(SettingsError, match="no budget ledger"):
        use_ledger(tmp_path / "broker", tmp_path / "gone.sqlite", {})
    with pytest.raises(SettingsError, match="no limit"):
        use_ledger(tmp_path / "broker", book, {"bills": PRICE})
    with pytest.raises(SettingsError, match="above 0"):
        use_ledger(tmp_path / "broker", book, {"insurance": Fraction(0)})
    assert not (tmp_path / "broker" / BUDGET).exists()


def test_a_lost_or_damaged_ledger_is_never_replaced_by_an_empty_one(
    tmp_path: Path, ledger: BudgetLedger
) -> None:
    create_broker(tmp_path / "broker", "insurer-broker")
    use_ledger(tmp_path / "broker", tmp_path / "ledger.sqlite", {})
    (tmp_path / "ledger.sqlite").unlink()
    with pytest.raises(SettingsError, match="is gone"):
        open_budget(tmp_path / "broker")
    assert not (tmp_path / "ledger.sqlite").exists()
    (tmp_path / "broker" / BUDGET).write_bytes(b"{}")
    with pytest.raises(MalformedError):
        open_budget(tmp_path / "broker")
