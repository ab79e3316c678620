"""Where a provider's privacy budget is reserved, before a key leaves: the hook, and no budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from manatee.errors import KeyDeniedError
from manatee.records import DatasetManifest


class Budget(Protocol):
    """Accounts for what each release of a key may cost. Called by one broker, in this order."""

    def left(self, datasets: tuple[DatasetManifest, ...]) -> Mapping[str, int]:
        """Return data set name to what is left, in millionths of epsilon; unknown ones left out."""

    def reserve(
        self, job_digest: str, datasets: tuple[DatasetManifest, ...], *, twin_report: bool
    ) -> None:
        """Set aside what this job may cost: its outputs, and its twin report if it asks for one.

        Idempotent per job digest: a broker that died after reserving reserves again and nothing
        is counted twice.

        Raises:
            KeyDeniedError: With check `budget`: not enough is left. Nothing was set aside.
        """

    def commit(self, job_digest: str) -> None:
        """Count what was set aside as spent: the key was granted. Idempotent."""

    def cancel(self, job_digest: str) -> None:
        """Give back what was set aside: no key was granted. Idempotent; never undoes `commit`."""


class NoBudget:
    """Accounts for nothing: what asks for a budget finds none and is refused."""

    def left(self, datasets: tuple[DatasetManifest, ...]) -> Mapping[str, int]:
        """Return nothing: no data set has a budget."""
        return {}

    def reserve(
        self, job_digest: str, datasets: tuple[DatasetManifest, ...], *, twin_report: bool
    ) -> None:
        """Set nothing aside; refuse a report that would cost something.

        Raises:
            KeyDeniedError: With check `budget`.
        """
        if twin_report and any(dataset.comparison is not None for dataset in datasets):
            raise KeyDeniedError(
                "budget", "a twin report costs privacy budget, and this broker keeps none."
            )

    def commit(self, job_digest: str) -> None:
        """Spend nothing."""

    def cancel(self, job_digest: str) -> None:
        """Give nothing back."""
