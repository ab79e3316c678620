"""A broker's accountant over a provider's budget ledger."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from manatee.budgets import BudgetLedger, Charge
from manatee.errors import BudgetError, ConflictError, KeyDeniedError
from manatee.records import DatasetManifest


class LedgerBudget:
    """Reserves at the grant of a key and commits at its release: `Budget` over a ledger.

    A price bounds how many jobs a data set sees; it says nothing about what a job's outputs tell.
    What a twin report costs stands in the data set's manifest, and is exact. A data set without a
    price costs nothing here but its reports.
    """

    def __init__(self, ledger: BudgetLedger, prices: Mapping[str, Fraction]) -> None:
        """Account in `ledger`; `prices` is the rho of one job, by data set."""
        self._ledger = ledger
        self._prices = dict(prices)

    def left(self, datasets: tuple[DatasetManifest, ...]) -> Mapping[str, int]:
        """Return data set name to what is left, in millionths of epsilon, rounded down."""
        found = {}
        for dataset in datasets:
            name = self._account(dataset.name)
            if name is not None:
                found[dataset.name] = int(self._ledger.spent(name).epsilon_left * 1_000_000)
        return found

    def reserve(
        self, job_digest: str, datasets: tuple[DatasetManifest, ...], *, twin_report: bool
    ) -> None:
        """Set aside what this job may cost: for every data set, or for none.

        Raises:
            KeyDeniedError: With check `budget`: not enough is left. Nothing was set aside.
        """
        names = dict.fromkeys(self._account(dataset.name) for dataset in datasets)
        accounts = sorted(name for name in names if name is not None)
        reported = [dataset for dataset in datasets if twin_report and dataset.comparison]
        try:
            charges = [
                Charge(name, self._ledger.spent(name).limit.unit, self._prices[name], "a job")
                for name in accounts
            ]
            charges += [self._report(dataset) for dataset in reported]
            if charges:
                self._ledger.reserve(self._run(job_digest), charges)
        except (BudgetError, ConflictError) as error:
            raise KeyDeniedError(
                "budget", "the privacy budget does not allow this job.", reasons=(str(error),)
            ) from error

    def commit(self, job_digest: str) -> None:
        """Count what was set aside as spent: the key was granted. Idempotent."""
        if self._ledger.state(self._run(job_digest)) is not None:
            self._ledger.commit(self._run(job_digest))

    def cancel(self, job_digest: str) -> None:
        """Give back what was set aside: no key was granted. Idempotent; never undoes `commit`."""
        if self._ledger.state(self._run(job_digest)) is not None:
            self._ledger.release(self._run(job_digest))

    def _report(self, dataset: DatasetManifest) -> Charge:
        """Return what a twin report on one data set costs.

        Raises:
            BudgetError: The data set has no account.
        """
        order = dataset.comparison
        names = (dataset.name, dataset.name.rpartition(".")[0])
        known = self._ledger.datasets()
        limited = [name for name in names if name in known]
        if order is None or not limited:
            raise BudgetError(
                f"the data set {dataset.name!r} has no privacy budget.",
                hint=f"Set one: manatee budget limit {dataset.name} --epsilon E --delta D",
            )
        return Charge(limited[0], order.unit, Fraction(order.rho), "a twin report")

    def _run(self, job_digest: str) -> str:
        return f"job {job_digest}"

    def _account(self, dataset: str) -> str | None:
        """Return the ledger's name: the contract's, of which `CONTRACT.TABLE` is a table."""
        for name in (dataset, dataset.rpartition(".")[0]):
            if name in self._prices:
                return name
        return None
