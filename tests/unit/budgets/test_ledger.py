"""The ledger counts every release once, and never more than the limit."""

from __future__ import annotations

import sqlite3
from fractions import Fraction
from pathlib import Path

import pytest

from manatee.budgets import BudgetLedger, Charge, composed, epsilon_of, rho_of_pure
from manatee.errors import BudgetError, ConflictError, StoreError

HALF = Fraction(1, 200)


def charge(rho: Fraction | None = HALF, dataset: str = "visits") -> Charge:
    return Charge(dataset, "row", rho, "a twin")


@pytest.fixture
def ledger(tmp_path: Path) -> BudgetLedger:
    made = BudgetLedger(tmp_path / "budget.sqlite")
    made.set_limit("visits", epsilon=1.0, delta=1e-6)
    return made


def test_a_data_set_without_a_limit_has_nothing_to_spend(ledger: BudgetLedger) -> None:
    with pytest.raises(BudgetError, match="no privacy budget"):
        ledger.reserve("run", [charge(dataset="bills")])


def test_releases_add_up_as_opendp_composes_them(ledger: BudgetLedger) -> None:
    ledger.reserve("one", [charge()])
    ledger.reserve("two", [charge()])
    spent = ledger.spent("visits")
    assert spent.rho == 2 * HALF
    assert spent.epsilon == epsilon_of([HALF, HALF], delta=1e-6)
    assert spent.epsilon < 2 * epsilon_of([HALF], delta=1e-6)


def test_the_library_never_answers_less_than_the_exact_sum() -> None:
    parts = [Fraction(1, n) for n in range(3, 40)]
    assert Fraction(composed(parts)) >= sum(parts)


def test_pure_differential_privacy_is_converted_by_the_library() -> None:
    assert rho_of_pure(1.0) == Fraction(1, 2)


def test_a_refusal_says_what_is_left_and_sets_nothing_aside(ledger: BudgetLedger) -> None:
    ledger.reserve("one", [charge(4 * HALF)])
    left = ledger.spent("visits").epsilon_left
    with pytest.raises(BudgetError, match=f"epsilon {left:.4g} of 1 is left"):
        ledger.reserve("two", [charge()])
    assert ledger.spent("visits").rho == 4 * HALF
    assert ledger.state("two") is None


def test_a_run_over_two_data_sets_gets_both_budgets_or_neither(ledger: BudgetLedger) -> None:
    ledger.set_limit("bills", epsilon=0.01, delta=1e-6)
    with pytest.raises(BudgetError, match="'bills'"):
        ledger.reserve("run", [charge(), charge(dataset="bills")])
    assert ledger.spent("visits").charges == 0


def test_the_same_run_spends_once_however_often_it_starts(ledger: BudgetLedger) -> None:
    assert ledger.reserve("run", [charge()]) == "reserved"
    assert ledger.reserve("run", [charge()]) == "reserved"
    ledger.commit("run")
    ledger.commit("run")
    assert ledger.reserve("run", [charge()]) == "committed"
    assert ledger.spent("visits").charges == 1


def test_a_run_cannot_come_back_with_other_charges(ledger: BudgetLedger) -> None:
    ledger.reserve("run", [charge()])
    with pytest.raises(ConflictError):
        ledger.reserve("run", [charge(2 * HALF)])


def test_what_is_held_counts_as_spent_until_it_is_given_back(ledger: BudgetLedger) -> None:
    ledger.reserve("run", [charge(4 * HALF)])
    with pytest.raises(BudgetError):
        ledger.reserve("other", [charge()])
    assert ledger.release("run")
    assert ledger.reserve("other", [charge()]) == "reserved"


def test_what_was_committed_is_never_given_back(ledger: BudgetLedger) -> None:
    ledger.reserve("run", [charge()])
    ledger.commit("run")
    assert not ledger.release("run")
    assert ledger.spent("visits").charges == 1


def test_nothing_is_committed_after_it_was_given_back(ledger: BudgetLedger) -> None:
    ledger.reserve("run", [charge()])
    ledger.release("run")
    with pytest.raises(BudgetError, match="Reserve again"):
        ledger.commit("run")


def test_a_run_nobody_knows_commits_and_releases_nothing(ledger: BudgetLedger) -> None:
    with pytest.raises(BudgetError):
        ledger.commit("run")
    with pytest.raises(BudgetError):
        ledger.release("run")


def test_privacy_units_do_not_mix(ledger: BudgetLedger) -> None:
    with pytest.raises(BudgetError, match="per row, not per person"):
        ledger.reserve("run", [Charge("visits", "person", HALF, "a twin")])
    ledger.reserve("run", [charge()])
    with pytest.raises(BudgetError, match="another privacy unit"):
        ledger.set_limit("visits", epsilon=1.0, delta=1e-6, unit="person")


def test_deltas_of_releases_add_up_too(ledger: BudgetLedger) -> None:
    with pytest.raises(BudgetError):
        ledger.reserve("run", [Charge("visits", "row", HALF, "a twin", delta=Fraction(1e-6))])
    ledger.reserve("run", [Charge("visits", "row", HALF, "a twin", delta=Fraction(1, 2 * 10**6))])
    left = float(Fraction(1e-6) - Fraction(1, 2 * 10**6))
    assert ledger.spent("visits").epsilon == pytest.approx(epsilon_of([HALF], delta=left))


def test_a_release_without_guarantee_is_counted_as_such(ledger: BudgetLedger) -> None:
    ledger.reserve("run", [charge(None)])
    assert ledger.spent("visits").unbounded == 1


@pytest.mark.parametrize("rho", [Fraction(0), Fraction(-1)])
def test_a_charge_costs_something(ledger: BudgetLedger, rho: Fraction) -> None:
    with pytest.raises(BudgetError, match="must cost something"):
        ledger.reserve("run", [charge(rho)])


@pytest.mark.parametrize(
    ("epsilon", "delta"),
    [(0.0, 1e-6), (float("nan"), 1e-6), (float("inf"), 1e-6), (1.0, 0.0), (1.0, 0.5)],
)
def test_a_limit_means_something(ledger: BudgetLedger, epsilon: float, delta: float) -> None:
    with pytest.raises(BudgetError, match="a limit has"):
        ledger.set_limit("visits", epsilon=epsilon, delta=delta)


def test_a_limit_is_raised_but_never_set_below_what_is_spent(ledger: BudgetLedger) -> None:
    ledger.reserve("run", [charge(4 * HALF)])
    with pytest.raises(BudgetError, match="already spent"):
        ledger.set_limit("visits", epsilon=0.5, delta=1e-6)
    ledger.set_limit("visits", epsilon=2.0, delta=1e-6)
    assert ledger.reserve("more", [charge()]) == "reserved"


def test_the_ledger_shows_its_runs(ledger: BudgetLedger) -> None:
    ledger.reserve("run", [charge()])
    ledger.commit("run")
    assert ledger.datasets() == ("visits",)
    assert ledger.runs("visits") == (("run", "committed", (charge(),)),)


def rewrite(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TRIGGER entries_stay")
        connection.execute("DROP TRIGGER entries_are_kept")
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET body = replace(body, '1/200', '1/999') WHERE place = 2",
        "DELETE FROM entries WHERE place = 2",
    ],
)
def test_a_changed_entry_stops_everything(
    ledger: BudgetLedger, tmp_path: Path, statement: str
) -> None:
    ledger.reserve("one", [charge()])
    ledger.reserve("two", [charge()])
    rewrite(tmp_path / "budget.sqlite", statement)
    with pytest.raises(BudgetError, match="was changed"):
        ledger.check()
    with pytest.raises(BudgetError, match="was changed"):
        ledger.reserve("three", [charge()])


def test_entries_cut_off_the_end_are_missed_by_whoever_kept_a_head(
    ledger: BudgetLedger, tmp_path: Path
) -> None:
    before = ledger.head()
    ledger.reserve("one", [charge()])
    after = ledger.head()
    assert ledger.check(head=before) == after
    rewrite(tmp_path / "budget.sqlite", "DELETE FROM entries WHERE place = 2")
    assert ledger.check() == before
    with pytest.raises(BudgetError, match="entries are missing"):
        ledger.check(head=after)


def test_the_file_itself_refuses_changes_by_mistake(ledger: BudgetLedger, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "budget.sqlite")
    for statement in ("UPDATE entries SET body = ''", "DELETE FROM entries"):
        with pytest.raises(sqlite3.IntegrityError, match="never"):
            connection.execute(statement)
    connection.close()


def test_the_ledger_is_the_providers_alone(ledger: BudgetLedger, tmp_path: Path) -> None:
    assert (tmp_path / "budget.sqlite").stat().st_mode & 0o077 == 0


def test_a_file_that_is_no_ledger_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"not a database at all, but long enough to be looked at")
    with pytest.raises(StoreError):
        BudgetLedger(tmp_path / "other").datasets()
    with pytest.raises(StoreError):
        BudgetLedger(tmp_path).datasets()
