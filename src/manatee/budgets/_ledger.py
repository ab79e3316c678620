"""The ledger: limits, and charges that are reserved, then committed or released.

Invariant: for every data set, what is reserved or committed never costs more than its limit, by
OpenDP's composition and conversion. A process that dies between reserve and commit leaves its
charge counted: a crash spends. The same run, started again, finds its own charge and spends once.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from manatee._clock import Clock, system_clock, timestamp
from manatee.budgets._rows import transaction
from manatee.budgets._state import Run, RunState, State, charge_entry, state_of
from manatee.budgets._types import Charge, Limit, Spending, Unit
from manatee.errors import BudgetError, ConflictError

MAX_EPSILON = 100.0
"""Greatest limit that means anything: e^100 bounds nothing already."""

MAX_DELTA = 1e-3
"""Greatest delta of a limit: a delta near one over the number of persons protects nobody."""


class BudgetLedger:
    """A provider's ledger file. Every call is one transaction, synced to disk when it returns."""

    def __init__(self, path: Path, *, clock: Clock = system_clock) -> None:
        """Use the ledger at `path`; the first write makes the file."""
        self._path = path
        self._clock = clock

    def set_limit(self, dataset: str, *, epsilon: float, delta: float, unit: Unit = "row") -> None:
        """Set the most that all releases on a data set may cost. Idempotent.

        Raises:
            BudgetError: A limit that means nothing, is below what is spent, or counts in another
                privacy unit than what is spent.
        """
        if not 0 < epsilon <= MAX_EPSILON or not 0 < delta <= MAX_DELTA:
            raise BudgetError(
                f"a limit has an epsilon above 0 and at most {MAX_EPSILON:g}, and a delta above 0 "
                f"and at most {MAX_DELTA:g}."
            )
        if unit not in {"row", "person"}:
            raise BudgetError("the privacy unit is row or person.")
        wanted = Limit(float(epsilon), float(delta), unit)
        with transaction(self._path) as rows:
            state = state_of(rows.all())
            if state.limits.get(dataset) == wanted:
                return
            if any(charge.unit != unit for charge in state.counted(dataset)):
                raise BudgetError(
                    f"what is spent on {dataset!r} counts in another privacy unit than {unit!r}."
                )
            state.limits[dataset] = wanted
            spent = state.spending(dataset)
            if spent.epsilon > wanted.epsilon:
                raise BudgetError(
                    f"{dataset!r} has already spent epsilon {spent.epsilon:.6g} at delta "
                    f"{delta:g}; a limit cannot be below it."
                )
            rows.add(
                {
                    "kind": "limit",
                    "dataset": dataset,
                    "epsilon": repr(wanted.epsilon),
                    "delta": repr(wanted.delta),
                    "unit": unit,
                    "at": self._now(),
                }
            )

    def reserve(self, run: str, charges: Sequence[Charge]) -> RunState:
        """Set aside what a run may cost: all of its charges, or none.

        Idempotent per run: its charges are counted once however often it asks. A released run may
        reserve anew.

        Returns:
            `reserved`; or `committed` if the run had come that far before.

        Raises:
            BudgetError: A limit does not allow it; nothing was set aside. Says what is left.
            ConflictError: The run reserved other charges before.
        """
        wanted = tuple(charges)
        with transaction(self._path) as rows:
            state = state_of(rows.all())
            known = state.runs.get(run)
            if known is not None and known.counted:
                if known.charges != wanted:
                    raise ConflictError(
                        "this run reserved other charges before.", hint="Start a new run."
                    )
                return known.state
            for dataset in dict.fromkeys(charge.dataset for charge in wanted):
                _allow(state, dataset, [c for c in wanted if c.dataset == dataset])
            entries = [charge_entry(charge) for charge in wanted]
            rows.add({"kind": "reserve", "run": run, "charges": entries, "at": self._now()})
        return "reserved"

    def commit(self, run: str) -> None:
        """Count what was set aside as spent, before any noise is drawn. Idempotent.

        Raises:
            BudgetError: The run holds nothing.
        """
        with transaction(self._path) as rows:
            found = _run(state_of(rows.all()), run)
            if found.state == "released":
                raise BudgetError("this run gave its budget back.", hint="Reserve again first.")
            if found.state == "reserved":
                rows.add({"kind": "commit", "run": run, "at": self._now()})

    def release(self, run: str) -> bool:
        """Give back what was set aside; only for a run that measured nothing. Idempotent.

        Returns:
            Whether the run's charges no longer count; False once committed.

        Raises:
            BudgetError: Nobody knows the run.
        """
        with transaction(self._path) as rows:
            found = _run(state_of(rows.all()), run)
            if found.state == "reserved":
                rows.add({"kind": "release", "run": run, "at": self._now()})
            return found.state != "committed"

    def state(self, run: str) -> RunState | None:
        """Return how far a run came; None for one nobody knows."""
        with transaction(self._path) as rows:
            found = state_of(rows.all()).runs.get(run)
        return None if found is None else found.state

    def spent(self, dataset: str) -> Spending:
        """Return where a data set's budget stands.

        Raises:
            BudgetError: It has no limit.
        """
        with transaction(self._path) as rows:
            return state_of(rows.all()).spending(dataset)

    def datasets(self) -> tuple[str, ...]:
        """Return the data sets that have a limit, in order of their names."""
        with transaction(self._path) as rows:
            return tuple(sorted(state_of(rows.all()).limits))

    def runs(self, dataset: str) -> tuple[tuple[str, RunState, tuple[Charge, ...]], ...]:
        """Return every run on a data set, oldest first: its id, state and charges."""
        with transaction(self._path) as rows:
            state = state_of(rows.all())
        return tuple(
            (name, run.state, mine)
            for name, run in state.runs.items()
            if (mine := tuple(c for c in run.charges if c.dataset == dataset))
        )

    def head(self) -> str:
        """Return the hash of the last entry: what a later `check` can be held to."""
        with transaction(self._path) as rows:
            return rows.head()

    def check(self, *, head: str | None = None) -> str:
        """Check the whole chain, every limit, and that an earlier head is still in it.

        Returns:
            The present head.

        Raises:
            BudgetError: The file was changed or cut, or more is spent than a limit allows.
        """
        with transaction(self._path) as rows:
            state = state_of(rows.all())
            if head is not None and not rows.holds(head):
                raise BudgetError("entries are missing: the earlier head is not in the ledger.")
            found = rows.head()
        for dataset in state.limits:
            _require_within(state.spending(dataset), state.spending(dataset))
        return found

    def _now(self) -> str:
        return timestamp(self._clock())


def _run(state: State, run: str) -> Run:
    found = state.runs.get(run)
    if found is None:
        raise BudgetError("the budget ledger does not know this run.")
    return found


def _allow(state: State, dataset: str, charges: list[Charge]) -> None:
    before = state.spending(dataset)
    for charge in charges:
        if charge.rho is not None and (charge.rho <= 0 or charge.delta < 0):
            raise BudgetError("a charge must cost something.")
        if charge.unit != before.limit.unit:
            raise BudgetError(
                f"the budget of {dataset!r} is kept per {before.limit.unit}, not per "
                f"{charge.unit}.",
                hint="Privacy units do not add up; the contract names one.",
            )
    _require_within(state.spending(dataset, charges), before)


def _require_within(after: Spending, before: Spending) -> None:
    limit = after.limit
    fits = after.epsilon <= limit.epsilon and after.delta < Fraction(limit.delta)
    if not fits:
        raise BudgetError(
            f"the privacy budget of {after.dataset!r} does not allow this: epsilon "
            f"{before.epsilon_left:.4g} of {limit.epsilon:g} is left at delta {limit.delta:g}, "
            f"and it would come to epsilon {after.epsilon:.6g}.",
            hint=f"`manatee budget show {after.dataset}` lists what was spent.",
        )
