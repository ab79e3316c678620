"""Many processes, sudden death, and any order of calls: the limit holds."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from fractions import Fraction
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from manatee.budgets import BudgetLedger, Charge, epsilon_of
from manatee.errors import BudgetError, ConflictError

RHO = Fraction(1, 1000)
PROCESSES = 20


def charge(rho: Fraction = RHO) -> Charge:
    return Charge("visits", "row", rho, "a twin")


def affordable(limit: float, delta: float) -> int:
    number = 0
    while epsilon_of([RHO] * (number + 1), delta=delta) <= limit:
        number += 1
    return number


def in_child(work: object) -> int:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = work()  # type: ignore[operator]
        finally:
            os._exit(status)
    return child


def test_twenty_processes_together_never_exceed_the_limit(tmp_path: Path) -> None:
    ledger = BudgetLedger(tmp_path / "budget.sqlite")
    ledger.set_limit("visits", epsilon=0.5, delta=1e-6)

    def work() -> int:
        for attempt in range(3):
            try:
                ledger.reserve(f"{os.getpid()}-{attempt}", [charge()])
                ledger.commit(f"{os.getpid()}-{attempt}")
            except BudgetError:
                return 3
        return 0

    children = [in_child(work) for _ in range(PROCESSES)]
    codes = {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children}
    assert codes <= {0, 3}
    spent = ledger.spent("visits")
    assert spent.charges == affordable(0.5, 1e-6) < 3 * PROCESSES
    assert spent.epsilon <= 0.5
    ledger.check()


def test_twenty_processes_of_one_run_spend_once(tmp_path: Path) -> None:
    ledger = BudgetLedger(tmp_path / "budget.sqlite")
    ledger.set_limit("visits", epsilon=0.5, delta=1e-6)

    def work() -> int:
        ledger.reserve("the-run", [charge()])
        ledger.commit("the-run")
        return 0

    children = [in_child(work) for _ in range(PROCESSES)]
    assert {os.waitpid(child, 0)[1] for child in children} == {0}
    assert ledger.spent("visits").charges == 1


def test_sudden_death_at_any_moment_leaves_a_ledger_that_adds_up(tmp_path: Path) -> None:
    ledger = BudgetLedger(tmp_path / "budget.sqlite")
    ledger.set_limit("visits", epsilon=5.0, delta=1e-6)
    told = tmp_path / "told"

    def work() -> int:
        with told.open("a") as stream:
            for number in range(1000):
                run = f"{os.getpid()}-{number}"
                ledger.reserve(run, [charge(RHO / 100)])
                stream.write(f"{run} reserved\n")
                stream.flush()
                ledger.commit(run)
                stream.write(f"{run} committed\n")
                stream.flush()
        return 0

    for round_ in range(12):
        child = in_child(work)
        # The moments differ by 7 ms: they fall into reading, writing and syncing alike.
        threading.Event().wait(0.02 + 0.007 * round_)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    ledger.check()
    for line in told.read_text().splitlines():
        run, state = line.split()
        found = ledger.state(run)
        assert found is not None, "a reservation that was answered is never lost"
        assert state == "reserved" or found == "committed"


steps = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "commit", "release"]),
        st.integers(0, 4),
        st.fractions(min_value=Fraction(1, 10**6), max_value=Fraction(1, 20)),
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@given(steps, st.sampled_from([0.1, 0.5, 1.0]))
def test_no_order_of_calls_spends_more_than_the_limit(
    calls: list[tuple[str, int, Fraction]], limit: float
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ledger = BudgetLedger(Path(folder) / "budget.sqlite")
        ledger.set_limit("visits", epsilon=limit, delta=1e-6)
        model: dict[str, tuple[Fraction, str]] = {}
        for kind, number, rho in calls:
            run = f"run-{number}"
            known = model.get(run)
            try:
                if kind == "reserve":
                    ledger.reserve(run, [charge(rho)])
                    if known is None or known[1] == "released":
                        model[run] = (rho, "reserved")
                elif kind == "commit":
                    ledger.commit(run)
                    model[run] = (model[run][0], "committed")
                elif ledger.release(run):
                    model[run] = (model[run][0], "released")
            except (BudgetError, ConflictError):
                pass
            counted = [cost for cost, state in model.values() if state != "released"]
            spent = ledger.spent("visits")
            assert spent.rho == sum(counted)
            assert spent.epsilon <= limit
            assert epsilon_of(counted, delta=1e-6) <= limit
        ledger.check()
