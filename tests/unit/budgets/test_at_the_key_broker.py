"""The accountant that a key broker asks before a key leaves."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import msgspec
import pytest

from manatee.budgets import BudgetLedger
from manatee.errors import KeyDeniedError
from manatee.keybroker import LedgerBudget
from manatee.records import DatasetManifest, FileEntry

PRICE = Fraction(1, 100)
DIGEST = "sha256:" + "0" * 64


def dataset(name: str) -> DatasetManifest:
    return DatasetManifest(
        name=name,
        provider="clinic",
        label="real",
        schema_digest=DIGEST,
        contract_digest=DIGEST,
        files=(FileEntry(path="table.parquet", sha256=DIGEST, size=1),),
    )


VISITS = (dataset("visits"),)


@pytest.fixture
def ledger(tmp_path: Path) -> BudgetLedger:
    made = BudgetLedger(tmp_path / "budget.sqlite")
    made.set_limit("visits", epsilon=1.0, delta=1e-6)
    return made


@pytest.fixture
def accountant(ledger: BudgetLedger) -> LedgerBudget:
    return LedgerBudget(ledger, {"visits": PRICE})


def test_a_granted_job_is_spent_once(accountant: LedgerBudget, ledger: BudgetLedger) -> None:
    for _ in range(2):
        accountant.reserve("job", VISITS, twin_report=False)
        accountant.commit("job")
    assert ledger.spent("visits").rho == PRICE


def test_a_job_that_got_no_key_costs_nothing(
    accountant: LedgerBudget, ledger: BudgetLedger
) -> None:
    accountant.reserve("job", VISITS, twin_report=False)
    accountant.cancel("job")
    accountant.cancel("job")
    assert ledger.spent("visits").charges == 0


def test_a_second_request_cannot_give_back_what_the_first_spent(
    accountant: LedgerBudget, ledger: BudgetLedger
) -> None:
    accountant.reserve("job", VISITS, twin_report=False)
    accountant.commit("job")
    accountant.reserve("job", VISITS, twin_report=False)
    accountant.cancel("job")
    assert ledger.spent("visits").rho == PRICE


def test_jobs_are_denied_when_the_budget_is_spent(
    accountant: LedgerBudget, ledger: BudgetLedger
) -> None:
    accountant.reserve("one", VISITS, twin_report=False)
    accountant.reserve("two", VISITS, twin_report=False)
    with pytest.raises(KeyDeniedError, match=r"\[budget\]") as denied:
        accountant.reserve("three", VISITS, twin_report=False)
    assert "epsilon" not in str(denied.value), "what is left is the provider's to tell"
    assert denied.value.check == "budget"
    assert denied.value.reasons
    assert ledger.spent("visits").rho == 2 * PRICE


def test_what_is_left_is_told_in_millionths_and_never_rounded_up(
    accountant: LedgerBudget, ledger: BudgetLedger
) -> None:
    accountant.reserve("one", VISITS, twin_report=False)
    (left,) = accountant.left((*VISITS, dataset("other"))).values()
    assert 0 <= ledger.spent("visits").epsilon_left - left / 1e6 < 1e-6


def test_tables_of_one_contract_share_its_budget(
    accountant: LedgerBudget, ledger: BudgetLedger
) -> None:
    accountant.reserve(
        "job", (dataset("visits.persons"), dataset("visits.stays")), twin_report=False
    )
    assert ledger.spent("visits").rho == PRICE


def test_a_data_set_without_a_price_is_not_accounted_for(accountant: LedgerBudget) -> None:
    other = (msgspec.structs.replace(VISITS[0], name="other"),)
    accountant.reserve("job", other, twin_report=False)
    accountant.commit("job")
    accountant.cancel("job")
    assert accountant.left(other) == {}


def test_a_price_without_a_limit_denies(ledger: BudgetLedger) -> None:
    accountant = LedgerBudget(ledger, {"bills": PRICE})
    with pytest.raises(KeyDeniedError, match=r"\[budget\]"):
        accountant.reserve("job", (dataset("bills"),), twin_report=False)
